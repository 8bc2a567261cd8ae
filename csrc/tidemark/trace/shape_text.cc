#include "tidemark/trace/shape_text.h"

#include <array>
#include <charconv>

#include "tidemark/graph/hash.h"

namespace tidemark {
namespace {

std::string_view dtype_text(c10::ScalarType type) {
  switch (type) {
    case c10::ScalarType::Float:
      return "f32";
    case c10::ScalarType::Double:
      return "f64";
    case c10::ScalarType::Half:
      return "f16";
    case c10::ScalarType::BFloat16:
      return "bf16";
    case c10::ScalarType::Long:
      return "i64";
    case c10::ScalarType::Int:
      return "i32";
    case c10::ScalarType::Short:
      return "i16";
    case c10::ScalarType::Char:
      return "i8";
    case c10::ScalarType::Byte:
      return "u8";
    case c10::ScalarType::Bool:
      return "b8";
    case c10::ScalarType::ComplexFloat:
      return "c64";
    case c10::ScalarType::ComplexDouble:
      return "c128";
    default:
      return c10::toString(type);
  }
}

std::uint64_t dtype_hash(c10::ScalarType type) {
  constexpr auto kNumTypes = static_cast<std::size_t>(c10::ScalarType::NumOptions);
  static const auto hashes = [] {
    std::array<std::uint64_t, kNumTypes> result{};
    for (std::size_t i = 0; i < kNumTypes; ++i) {
      result[i] = hash_bytes(dtype_text(static_cast<c10::ScalarType>(i)));
    }
    return result;
  }();
  return hashes[static_cast<std::size_t>(type)];
}

std::uint64_t hash_dtype(std::uint64_t dtype, std::uint64_t hash) {
  return hash_int(hash, static_cast<std::int64_t>(dtype));
}

}  // namespace

std::string shape_text(const at::Tensor& tensor) {
  std::string text(dtype_text(tensor.scalar_type()));
  text += '[';
  for (std::size_t i = 0; i < tensor.sizes().size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(tensor.sizes()[i]);
  }
  return text + ']';
}

std::uint64_t hash_shape(const at::Tensor& tensor, std::uint64_t hash) noexcept {
  hash = hash_dtype(dtype_hash(tensor.scalar_type()), hash);
  for (const std::int64_t size : tensor.sizes()) hash = hash_int(hash, size);
  return hash;
}

std::uint64_t hash_shape_text(std::string_view text, std::uint64_t hash) noexcept {
  const std::size_t bracket = std::min(text.find('['), text.size());
  hash = hash_dtype(hash_bytes(text.substr(0, bracket)), hash);
  const char* end = text.data() + text.size();
  for (const char* at = text.data() + bracket + 1; at < end;) {
    std::int64_t size = 0;
    const auto parsed = std::from_chars(at, end, size);
    if (parsed.ec != std::errc{}) break;  // "]"
    hash = hash_int(hash, size);
    at = parsed.ptr + 1;
  }
  return hash;
}

}  // namespace tidemark
