// The tests' own counter: a CPU allocator under Tidemark's that knows nothing of Tidemark.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

class CountingAllocator final : public c10::Allocator {
 public:
  static CountingAllocator& instance() {
    static auto* allocator = new CountingAllocator;
    return *allocator;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : c10::alloc_cpu(bytes);
    if (data != nullptr) {
      std::lock_guard lock(mutex_);
      if (fail_at_ >= 0 && num_allocations_ == fail_at_) {
        c10::free_cpu(data);
        ++num_allocations_;
        TORCH_CHECK_WITH(OutOfMemoryError, false, "the test's allocator has failed on purpose");
      }
      ++num_allocations_;
      sizes_[data] = bytes;
      live_ += static_cast<std::int64_t>(bytes);
      peak_ = std::max(peak_, live_);
      note();
    }
    return {data, data, &free_block, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* dest, const void* src, std::size_t count) const override {
    default_copy_data(dest, src, count);
  }

  std::int64_t live() const { return live_; }
  std::int64_t peak() const { return peak_; }
  std::int64_t num_allocations() const { return num_allocations_; }
  void reset_peak() { peak_ = live_; }
  // The allocation after `count` further ones throws; negative: never.
  void fail_after(std::int64_t count) { fail_at_ = count < 0 ? -1 : num_allocations_ + count; }
  // From now on the live bytes after every allocation and free are logged, after what is live now.
  void start_log() {
    std::lock_guard lock(mutex_);
    log_.assign(1, live_);
  }
  std::size_t log_size() const { return log_.size(); }
  std::vector<std::int64_t> stop_log() { return std::exchange(log_, {}); }

 private:
  void note() {
    if (!log_.empty()) log_.push_back(live_);
  }
  static void free_block(void* data) {
    if (data == nullptr) return;
    auto& self = instance();
    {
      std::lock_guard lock(self.mutex_);
      auto it = self.sizes_.find(data);
      if (it != self.sizes_.end()) {
        self.live_ -= static_cast<std::int64_t>(it->second);
        self.sizes_.erase(it);
        self.note();
      }
    }
    c10::free_cpu(data);
  }
  std::mutex mutex_;
  std::unordered_map<void*, std::size_t> sizes_;
  std::int64_t live_ = 0;
  std::int64_t peak_ = 0;
  std::int64_t num_allocations_ = 0;
  std::int64_t fail_at_ = -1;
  std::vector<std::int64_t> log_;  // empty: not logging
};

}  // namespace

PYBIND11_MODULE(counting_allocator, module) {
  module.def(
      "install",
      [](int priority) {
        c10::SetAllocator(c10::kCPU, &CountingAllocator::instance(),
                          static_cast<std::uint8_t>(priority));
      },
      pybind11::arg("priority") = 1);
  module.def("uninstall", [] { c10::SetAllocator(c10::kCPU, c10::GetDefaultCPUAllocator(), 1); });
  module.def("live", [] { return CountingAllocator::instance().live(); });
  module.def("peak", [] { return CountingAllocator::instance().peak(); });
  module.def("num_allocations", [] { return CountingAllocator::instance().num_allocations(); });
  module.def("reset_peak", [] { CountingAllocator::instance().reset_peak(); });
  module.def("fail_after", [](std::int64_t n) { CountingAllocator::instance().fail_after(n); });
  module.def("start_log", [] { CountingAllocator::instance().start_log(); });
  module.def("log_size", [] { return CountingAllocator::instance().log_size(); });
  module.def("stop_log", [] { return CountingAllocator::instance().stop_log(); });
  module.def("is_current",
             [] { return c10::GetAllocator(c10::kCPU) == &CountingAllocator::instance(); });
}
