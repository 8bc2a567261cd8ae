#include "tidemark/runtime/geometry.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace tidemark {
namespace {

c10::DispatchKeySet marks_of(const c10::TensorImpl& impl) {
  constexpr c10::DispatchKeySet marks({c10::DispatchKey::Conjugate, c10::DispatchKey::Negative});
  return impl.key_set() & marks;
}

// Tells apart what one step has as a rule: other sizes, parts of one tensor, transposed ones.
std::uint64_t hash_of(std::int64_t offset, at::IntArrayRef sizes, at::IntArrayRef strides) {
  auto hash = static_cast<std::uint64_t>(offset);
  for (const std::int64_t size : sizes) hash = 31 * hash + static_cast<std::uint64_t>(size);
  if (!strides.empty()) hash += static_cast<std::uint64_t>(strides.front());
  return hash * 0x9e3779b97f4a7c15ull;
}

bool are_equal(at::IntArrayRef numbers, const std::int64_t* others) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {  // a call of memcmp takes longer
    if (numbers[i] != others[i]) return false;
  }
  return true;
}

}  // namespace

at::Tensor make_view(c10::Storage storage, const Geometry& geometry) {
  const c10::DispatchKeySet keys = geometry.marks | c10::DispatchKeySet(c10::DispatchKey::CPU);
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), keys, geometry.dtype);
  auto* impl = tensor.unsafeGetTensorImpl();
  if (geometry.is_row_major) {
    impl->set_sizes_contiguous(geometry.sizes());
  } else {
    impl->set_sizes_and_strides(geometry.sizes(), geometry.strides());
  }
  if (geometry.offset != 0) impl->set_storage_offset(geometry.offset);
  if (geometry.is_wrapped_number) impl->set_wrapped_number(true);
  return tensor;
}

const Geometry& GeometryTable::of(const at::Tensor& tensor) {
  constexpr int kShift = 64 - std::countr_zero(std::tuple_size_v<decltype(recent_)>);
  const c10::TensorImpl& impl = *tensor.unsafeGetTensorImpl();
  const at::IntArrayRef sizes = impl.sizes();
  const at::IntArrayRef strides = impl.strides();
  const std::int64_t offset = impl.storage_offset();
  const Geometry*& recent = recent_[hash_of(offset, sizes, strides) >> kShift];
  const bool is_known = recent != nullptr && recent->ndim == std::ssize(sizes) &&
                        recent->offset == offset && are_equal(sizes, recent->dims) &&
                        are_equal(strides, recent->dims + recent->ndim) &&
                        recent->dtype == impl.dtype() && recent->marks == marks_of(impl) &&
                        recent->is_wrapped_number == impl.is_wrapped_number();
  if (!is_known) recent = &note(impl);
  return *recent;
}

const Geometry& GeometryTable::note(const c10::TensorImpl& impl) {
  const auto sizes = impl.sizes();
  const auto strides = impl.strides();
  const std::size_t dim_bytes = 2 * sizes.size() * sizeof(std::int64_t);
  auto* dims = static_cast<std::int64_t*>(memory_.allocate(dim_bytes, alignof(std::int64_t)));
  auto& geometry = *::new (memory_.allocate(sizeof(Geometry), alignof(Geometry))) Geometry{};
  bytes_ += dim_bytes + sizeof(Geometry);
  geometry.is_row_major = true;
  std::int64_t row_major = 1;
  for (std::size_t i = sizes.size(); i-- > 0;) {
    dims[i] = sizes[i];
    dims[sizes.size() + i] = strides[i];
    geometry.is_row_major = geometry.is_row_major && strides[i] == row_major;
    row_major *= std::max<std::int64_t>(sizes[i], 1);
  }
  geometry.dims = dims;
  geometry.offset = impl.storage_offset();
  geometry.ndim = static_cast<std::int32_t>(sizes.size());
  geometry.dtype = impl.dtype();
  geometry.marks = marks_of(impl);
  geometry.is_wrapped_number = impl.is_wrapped_number();
  return geometry;
}

}  // namespace tidemark
