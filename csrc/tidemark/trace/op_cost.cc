#include "tidemark/trace/op_cost.h"

#include <algorithm>
#include <string_view>

#include "tidemark/runtime/tape.h"
#include "tidemark/trace/op_facts.h"

namespace tidemark {
namespace {

using Values = at::ArrayRef<c10::IValue>;

double bytes_of(Values values) {
  double bytes = 0;
  for (const auto& value : values) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      bytes += static_cast<double>(tensor.numel()) * static_cast<double>(tensor.itemsize());
    });
  }
  return bytes;
}

double numel_of(Values values) {
  double numel = 0;
  for (const auto& value : values) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      numel += static_cast<double>(tensor.numel());
    });
  }
  return numel;
}

// Two per multiplication and addition, of the product that the op is.
double product_flops(Values results, const at::Tensor& left) {
  return 2 * numel_of(results.slice(0, 1)) * static_cast<double>(left.size(-1));
}

// Each number of the output sums weight.numel() / channels products; transposed, of the input.
double convolution_flops(const at::Tensor& input, const at::Tensor& output,
                         const at::Tensor& weight, bool is_transposed) {
  const auto channels = static_cast<double>(std::max<std::int64_t>(1, weight.size(0)));
  const at::Tensor& swept = is_transposed ? input : output;
  return 2 * static_cast<double>(swept.numel()) * static_cast<double>(weight.numel()) / channels;
}

double attention_flops(const at::Tensor& query, const at::Tensor& key) {
  return 4 * static_cast<double>(query.numel()) * static_cast<double>(key.size(-2));
}

double flops_of(std::string_view name, Values args, Values results) {
  auto is = [&](std::string_view start) { return name.substr(0, start.size()) == start; };
  if (is("aten::mm") || is("aten::bmm")) return product_flops(results, args[0].toTensor());
  if (is("aten::addmm") || is("aten::baddbmm") || is("aten::addmv")) {
    return product_flops(results, args[1].toTensor());
  }
  if (is("aten::convolution_backward")) {  // one product for the input, one for the weight
    return 2 * convolution_flops(args[1].toTensor(), args[0].toTensor(), args[2].toTensor(),
                                 args[7].isBool() && args[7].toBool());
  }
  if (is("aten::convolution")) {
    return convolution_flops(args[0].toTensor(), results[0].toTensor(), args[1].toTensor(),
                             args[6].isBool() && args[6].toBool());
  }
  const bool is_attention = is("aten::_scaled_dot_product");
  if (is_attention && name.find("backward") != std::string_view::npos) {
    return 2.5 * attention_flops(args[1].toTensor(), args[2].toTensor());
  }
  return is_attention ? attention_flops(args[0].toTensor(), args[1].toTensor()) : 0;
}

}  // namespace

Nanoseconds op_cost(const c10::OperatorHandle& op, Values args, Values results,
                    const DeviceProfile& device) {
  const OpFacts& facts = facts_of(op);
  return cost_of({.flops = flops_of(facts.name, args, results),
                  .bytes = bytes_of(args) + bytes_of(results),
                  .random_numbers = facts.draws_random ? numel_of(results) : 0},
                 device);
}

}  // namespace tidemark
