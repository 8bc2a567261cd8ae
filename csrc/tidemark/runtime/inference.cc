#include "tidemark/runtime/inference.h"

#include <algorithm>
#include <exception>
#include <stdexcept>

#include "tidemark/runtime/debug.h"

namespace tidemark {
namespace {

StepAllocator& allocator() { return StepAllocator::instance(); }

// Forms beyond so many are forgotten, those called longest ago first.
constexpr std::size_t kMostForms = 32;

}  // namespace

Inference::Inference(InferenceOptions options) : options_(options) { allocator().acquire(); }

Inference::~Inference() { close(); }

void Inference::close() {
  if (!is_open_) return;
  if (is_in_call_) leave(true);
  is_open_ = false;
  for (const auto& form : forms_) form->arena.close();
  allocator().release();
}

Inference::Scope::Scope(Inference& serving)
    : serving_(serving), num_exceptions_(std::uncaught_exceptions()) {
  serving_.enter();
}

Inference::Scope::~Scope() { serving_.leave(std::uncaught_exceptions() > num_exceptions_); }

void Inference::enter() {
  if (!is_open_) throw std::logic_error("tidemark: a call of an inference that was closed");
  if (allocator().has_observer()) {
    throw std::logic_error("tidemark: inference inside a step or another call; leave that before");
  }
  if (!is_debugging()) allocator().set_step_memory(this);
  allocator().set_observer(this);
  is_in_call_ = true;
}

void Inference::leave(bool aborted) {
  if (!is_in_call_) throw std::logic_error("tidemark: no call to leave");
  is_in_call_ = false;
  allocator().set_observer(nullptr);
  allocator().set_step_memory(nullptr);
  if (!has_begun_) return;
  has_begun_ = false;
  StepArena& arena = forms_.front()->arena;
  arena.end_step(!aborted);
  if (options_.release) arena.give_back_pages();
}

c10::DataPtr Inference::allocate(std::size_t bytes) {
  Form& form = form_of(static_cast<Bytes>(bytes));
  has_begun_ = true;
  c10::Allocator* const memory =
      form.arena.begin_step({.is_debugging = options_.poison, .limit = kUnlimited});
  allocator().set_step_memory(memory);
  return (memory != nullptr ? *memory : allocator().under()).allocate(bytes);
}

// Only the form that is called holds memory in which nothing lives.
Inference::Form& Inference::form_of(Bytes first_bytes) {
  auto known = std::find_if(forms_.begin(), forms_.end(),
                            [&](const auto& form) { return form->first_bytes == first_bytes; });
  if (known == forms_.begin() && known != forms_.end()) return **known;
  if (!forms_.empty()) forms_.front()->arena.give_back_pages();
  if (known == forms_.end()) {
    if (forms_.size() == kMostForms) forms_.pop_back();
    forms_.push_back(
        std::make_unique<Form>(Form{first_bytes, StepArena(allocator().under(), counts_)}));
    known = forms_.end() - 1;
  }
  std::rotate(forms_.begin(), known, known + 1);
  return *forms_.front();
}

std::string Inference::why_not() const {
  return forms_.empty() ? "nothing was called yet" : forms_.front()->arena.why_not();
}

const AddressPlan* Inference::plan() const noexcept {
  return !forms_.empty() ? forms_.front()->arena.plan() : nullptr;
}

void Inference::copy_data(void* dest, const void* src, std::size_t count) const {
  default_copy_data(dest, src, count);
}

}  // namespace tidemark
