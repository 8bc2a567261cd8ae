#include "tidemark/runtime/debug.h"

#include <atomic>

namespace tidemark {
namespace {

std::atomic<int> num_scopes{0};

}  // namespace

DebugScope::DebugScope() noexcept { ++num_scopes; }

DebugScope::~DebugScope() { --num_scopes; }

bool is_debugging() noexcept { return num_scopes > 0; }

}  // namespace tidemark
