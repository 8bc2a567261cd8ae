// Geometry: how a tensor lies in its storage.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>

#include <array>
#include <cstdint>
#include <memory_resource>

#include "tidemark/base/export.h"

namespace tidemark {

struct Geometry {
  const std::int64_t* dims = nullptr;  // ndim sizes, then ndim strides
  std::int64_t offset = 0;
  std::int32_t ndim = 0;
  caffe2::TypeMeta dtype;
  c10::DispatchKeySet marks;  // of conjugate and negative views
  bool is_wrapped_number = false;
  bool is_row_major = false;  // strides are what sizes alone would give

  at::IntArrayRef sizes() const { return {dims, static_cast<std::size_t>(ndim)}; }
  at::IntArrayRef strides() const { return {dims + ndim, static_cast<std::size_t>(ndim)}; }
};

// The tensor that lies in `storage` like that.
TIDEMARK_API at::Tensor make_view(c10::Storage storage, const Geometry& geometry);

// Notes geometries in a memory resource, and those that recur as a rule once.
//
// Not thread-safe.
class TIDEMARK_API GeometryTable {
 public:
  // `memory` must outlive what is noted.
  explicit GeometryTable(std::pmr::memory_resource& memory) : memory_(memory) {}

  const Geometry& of(const at::Tensor& tensor);
  // What all that is noted takes.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  const Geometry& note(const c10::TensorImpl& impl);

  std::pmr::memory_resource& memory_;
  std::size_t bytes_ = 0;
  // Direct-mapped: the tensors of a step lie in the same few ways over and over.
  std::array<const Geometry*, 64> recent_{};
};

}  // namespace tidemark
