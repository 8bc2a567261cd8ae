#include "tidemark/plan/list_mover.h"

#include <gtest/gtest.h>

#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

// b is read by event 1 of a, of 10 bytes, and used at event 5 beside c, of 12: to have a there as
// well takes 23 bytes with b. Before c is made there is room.
constexpr char kRoomIsEarlier[] = R"({"version":1,
"events":[
{"name":"a","cost_ns":5,"inputs":[0],"outputs":[1]},
{"name":"b","cost_ns":5,"inputs":[1],"outputs":[2]},
{"name":"big","cost_ns":5,"inputs":[0],"outputs":[3]},
{"name":"small","cost_ns":5,"inputs":[3],"outputs":[4]},
{"name":"c","cost_ns":5,"inputs":[4],"outputs":[5]},
{"name":"use","cost_ns":5,"inputs":[2,5],"outputs":[6]}],
"values":[{"bytes":0},{"bytes":10},{"bytes":1},{"bytes":20},{"bytes":0},{"bytes":12},{"bytes":1}]})";

constexpr std::int64_t kEnough = 1000;

class RoomIsEarlier : public ::testing::Test {
 protected:
  StepGraph graph_ = graph_from_json(kRoomIsEarlier);
  Problem problem_{graph_};
  ResidencyFacts facts_{problem_};
  Residency residency_{facts_};
  ListMover mover_{residency_};
};

TEST_F(RoomIsEarlier, AListMovesToTheNearestEventWithRoom) {
  residency_.load({{5, {0, 1}}});
  EXPECT_EQ(residency_.peak_bytes(), 23);
  ASSERT_TRUE(mover_.move_earlier(5, 20, kEnough));
  EXPECT_EQ(residency_.schedule(), (Schedule{{4, {0, 1}}}));
  EXPECT_EQ(residency_.peak_bytes(), 20);
}

TEST_F(RoomIsEarlier, WhereNoEventHasRoomNothingChanges) {
  const Schedule schedule{{5, {0, 1}}};
  residency_.load(schedule);
  EXPECT_FALSE(mover_.move_earlier(5, 12, kEnough));
  EXPECT_EQ(residency_.schedule(), schedule);
  EXPECT_EQ(residency_.peak_bytes(), 23);
}

// Moving lists of thousands of replays took most of a search of 100 s.
TEST_F(RoomIsEarlier, AListThatTakesTooLongStays) {
  const Schedule schedule{{5, {0, 1}}};
  residency_.load(schedule);
  EXPECT_FALSE(mover_.move_earlier(5, 20, 3));
  EXPECT_EQ(residency_.schedule(), schedule);
}

TEST_F(RoomIsEarlier, APlanComputesAgainBeforeTheValueIsUsed) {
  ASSERT_EQ(memory_floor(problem_).bytes, 20);
  const auto answer = plan(graph_, 20);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(validate(graph_, *answer));
  EXPECT_EQ(answer->recompute_ns, 10);
}

}  // namespace
}  // namespace tidemark
