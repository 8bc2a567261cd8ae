#include "tidemark/runtime/named_scope.h"

#include <string>

namespace tidemark {
namespace {

thread_local std::string path;

}  // namespace

NamedScope::NamedScope(std::string_view name) : size_before_(path.size()) {
  if (!path.empty()) path += '.';
  path += name;
}

NamedScope::~NamedScope() { path.resize(size_before_); }

Place named_place() { return {.scope = path, .source = {}}; }

}  // namespace tidemark
