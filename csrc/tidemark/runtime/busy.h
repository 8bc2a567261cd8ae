// Busy: while one lives, the ops, allocations and frees of this step are the runtime's own.
#pragma once

namespace tidemark {

class Busy {
 public:
  explicit Busy(bool& flag) : flag_(flag), was_set_(flag) { flag_ = true; }
  ~Busy() { flag_ = was_set_; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  bool& flag_;
  bool was_set_;
};

}  // namespace tidemark
