#include "tidemark/base/bytes.h"

#include <string>

#include "module.h"

namespace tidemark::bindings {

void bind_bytes(py::module_& m) {
  m.def("parse_bytes", [](const std::string& text) { return parse_bytes(text); });
  m.def("format_bytes", &format_bytes);
  m.def("format_duration", &format_duration);
}

}  // namespace tidemark::bindings
