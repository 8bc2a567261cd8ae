// DeviceProfile: what a device takes per floating-point operation, per byte and per op.
//
// A roofline over a few round figures (Williams et al. 2009): the time of an op is an overhead plus
// the longer of arithmetic and memory traffic. It gives costs to steps that nobody timed, good for
// comparing the ops of one step with each other; graphs with such costs say is_estimate.
//
// A profile is measured on a machine at hand (`tidemark profile`) or taken from a vendor's data
// sheet; `source` says which. Published figures are peaks that no real op reaches.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"

namespace tidemark {

struct DeviceProfile {
  static constexpr int kVersion = 1;
  std::string name;                        // "cpu", "h100"
  std::string source;                      // "measured ...", "published ..."
  std::int64_t flops_per_second = 0;       // matrix products on 32-bit floats
  std::int64_t half_flops_per_second = 0;  // on 16-bit floats
  std::int64_t bytes_per_second = 0;       // main memory, read and written together
  Nanoseconds overhead_ns = 0;             // per op: dispatch, launch
  std::int64_t random_number_ps = 0;       // picoseconds per number drawn
  bool operator==(const DeviceProfile&) const = default;
};

// What one op does, whatever the device.
struct OpWork {
  double flops = 0;  // of matrix products, convolutions and attention
  double bytes = 0;  // read and written, each tensor once
  double random_numbers = 0;
};

// Returns what an op takes on `device`, at most 2^61 ns. `element_bytes` below 4 takes the rate of
// 16-bit floats.
TIDEMARK_API Nanoseconds cost_of(const OpWork& work, const DeviceProfile& device,
                                 int element_bytes = 4);

// Returns the profiles that come with Tidemark: "cpu" (a few cores, round figures) and some GPUs,
// from published peaks.
TIDEMARK_API const std::vector<DeviceProfile>& device_profiles();

// Returns the one of that name. Throws std::invalid_argument naming those that exist.
TIDEMARK_API const DeviceProfile& device_profile(std::string_view name);

// Profiles as JSON files; every rate must be above 0. Throw as graph_json.h's functions do.
TIDEMARK_API std::string to_json(const DeviceProfile& profile);
TIDEMARK_API DeviceProfile device_profile_from_json(std::string_view json);
TIDEMARK_API void save_device_profile(const DeviceProfile& profile, const std::string& path);
TIDEMARK_API DeviceProfile load_device_profile(const std::string& path);

}  // namespace tidemark
