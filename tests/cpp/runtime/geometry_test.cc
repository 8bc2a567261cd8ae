#include "tidemark/runtime/geometry.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <memory_resource>
#include <random>
#include <vector>

namespace tidemark {
namespace {

class GeometryTableTest : public ::testing::Test {
 protected:
  std::pmr::monotonic_buffer_resource memory_;
  GeometryTable table_{memory_};
};

TEST_F(GeometryTableTest, NotesTensorsThatLieAlikeOnce) {
  const at::Tensor tensor = at::zeros({4, 6});
  const Geometry& geometry = table_.of(tensor);
  const std::size_t bytes = table_.bytes();
  EXPECT_EQ(&table_.of(at::ones({4, 6})), &geometry);
  EXPECT_EQ(table_.bytes(), bytes);
}

TEST_F(GeometryTableTest, TellsApartWhatDiffersInOneThing) {
  const at::Tensor tensor = at::zeros({6, 6});
  const at::Tensor number = at::zeros({}, at::kDouble);
  at::Tensor wrapped = at::zeros({}, at::kDouble);
  wrapped.unsafeGetTensorImpl()->set_wrapped_number(true);
  const at::Tensor complex = at::zeros({6, 6}, at::kComplexFloat);
  for (const auto& [a, b] : std::vector<std::pair<at::Tensor, at::Tensor>>{
           {tensor, tensor.t()},
           {tensor, at::zeros({6, 6}, at::kInt)},
           {tensor.narrow(0, 0, 3), tensor.narrow(0, 3, 3)},
           {tensor, at::zeros({36})},
           {number, wrapped},
           {complex, complex.conj()},
           {complex, at::_neg_view(complex)}}) {
    const Geometry before = table_.of(a);
    EXPECT_NE(&table_.of(a), &table_.of(b));
    EXPECT_EQ(table_.of(a).marks, before.marks);  // whatever was noted in its place meanwhile
  }
}

TEST_F(GeometryTableTest, AViewLiesAsTheTensorThatWasNoted) {
  std::mt19937 random(7);
  const at::Tensor base = at::arange(4096, at::kFloat);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::int64_t> sizes(random() % 4);
    std::vector<std::int64_t> strides(sizes.size());
    for (auto& size : sizes) size = random() % 5;
    for (auto& stride : strides) stride = random() % 64;
    const at::Tensor tensor =
        base.as_strided(sizes, strides, static_cast<std::int64_t>(random() % 64));
    const at::Tensor view = make_view(tensor.storage(), table_.of(tensor));
    ASSERT_EQ(view.sizes(), tensor.sizes());
    ASSERT_EQ(view.strides(), tensor.strides());
    ASSERT_EQ(view.storage_offset(), tensor.storage_offset());
    ASSERT_TRUE(at::equal(view, tensor));
  }
}

}  // namespace
}  // namespace tidemark
