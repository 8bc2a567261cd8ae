#include "tidemark/graph/device_profile.h"

#include <algorithm>

#include "tidemark/base/error.h"
#include "tidemark/graph/graph_json_impl.h"
#include "tidemark/graph/json_file.h"

namespace tidemark {
namespace {

constexpr std::string_view kWhat = "device profile";

// What a whole step may take at most (check.cc); also where a double still fits 64 bits.
constexpr Nanoseconds kMostTime = Nanoseconds{1} << 61;

struct Document {
  DeviceProfile profile;
  int version = 0;
};

constexpr Field<Document> kFields[] = {
    {"version",
     [](auto& in, Document& d) { read_version(in, DeviceProfile::kVersion, d.version); }},
    {"name", [](auto& in, Document& d) { d.profile.name = in.read_string(); }},
    {"source", [](auto& in, Document& d) { d.profile.source = in.read_string(); }},
    {"flops_per_second",
     [](auto& in, Document& d) { d.profile.flops_per_second = in.read_count(); }},
    {"half_flops_per_second",
     [](auto& in, Document& d) { d.profile.half_flops_per_second = in.read_count(); }},
    {"bytes_per_second",
     [](auto& in, Document& d) { d.profile.bytes_per_second = in.read_count(); }},
    {"overhead_ns", [](auto& in, Document& d) { d.profile.overhead_ns = in.read_count(); }},
    {"random_number_ps",
     [](auto& in, Document& d) { d.profile.random_number_ps = in.read_count(); }},
};

void check_rate(std::int64_t rate, std::string_view key) {
  TIDEMARK_CHECK_VALUE(rate > 0, kWhat, ": \"", key, "\" is ", rate, ", it must be above 0");
}

// Peaks of the vendors' data sheets, dense: f32 products run on TF32 units where there are some.
DeviceProfile published(std::string name, std::int64_t giga_flops, std::int64_t half_giga_flops,
                        std::int64_t gigabytes) {
  constexpr std::int64_t kGiga = 1'000'000'000;
  return {.name = std::move(name),
          .source = "published peak figures",
          .flops_per_second = giga_flops * kGiga,
          .half_flops_per_second = half_giga_flops * kGiga,
          .bytes_per_second = gigabytes * kGiga,
          .overhead_ns = 3000,
          .random_number_ps = 1};
}

}  // namespace

Nanoseconds cost_of(const OpWork& work, const DeviceProfile& device, int element_bytes) {
  const bool is_half = element_bytes < 4;
  const auto flops_per_second =
      static_cast<double>(is_half ? device.half_flops_per_second : device.flops_per_second);
  const double roofline = std::max(work.flops / flops_per_second,
                                   work.bytes / static_cast<double>(device.bytes_per_second));
  const double random = work.random_numbers * 1e-3 * static_cast<double>(device.random_number_ps);
  const double total = static_cast<double>(device.overhead_ns) + 1e9 * roofline + random;
  return total < kMostTime ? static_cast<Nanoseconds>(total) : kMostTime;
}

const std::vector<DeviceProfile>& device_profiles() {
  static const std::vector<DeviceProfile> profiles = {
      {.name = "cpu",
       .source = "round figures of a few cores",
       .flops_per_second = 50'000'000'000,
       .half_flops_per_second = 50'000'000'000,
       .bytes_per_second = 10'000'000'000,
       .overhead_ns = 2000,
       .random_number_ps = 4000},
      published("v100", 15'700, 125'000, 900),
      published("a100", 156'000, 312'000, 2039),
      published("h100", 494'700, 989'400, 3350),
      published("rtx4090", 82'600, 165'200, 1008),
  };
  return profiles;
}

const DeviceProfile& device_profile(std::string_view name) {
  std::string names;
  for (const DeviceProfile& profile : device_profiles()) {
    if (profile.name == name) return profile;
    names.append(names.empty() ? "" : ", ").append(profile.name);
  }
  TIDEMARK_CHECK_VALUE(false, "device '", name, "' is not known; there are ", names,
                       ", and files that `tidemark profile` writes");
}

std::string to_json(const DeviceProfile& profile) {
  JsonWriter out;
  out.begin_object();
  out.put_int("version", DeviceProfile::kVersion);
  out.put_text("name", profile.name);
  out.put_text("source", profile.source);
  out.put_int("flops_per_second", profile.flops_per_second);
  out.put_int("half_flops_per_second", profile.half_flops_per_second);
  out.put_int("bytes_per_second", profile.bytes_per_second);
  out.put_int("overhead_ns", profile.overhead_ns);
  out.put_int("random_number_ps", profile.random_number_ps);
  out.end_object();
  return out.take() + "\n";
}

DeviceProfile device_profile_from_json(std::string_view json) {
  JsonReader in(json, kWhat);
  Document document;
  in.read_object<Document>(kFields, document);
  in.expect_end();
  TIDEMARK_CHECK_VALUE(document.version != 0, kWhat, ": the key \"version\" is missing");
  check_rate(document.profile.flops_per_second, "flops_per_second");
  check_rate(document.profile.half_flops_per_second, "half_flops_per_second");
  check_rate(document.profile.bytes_per_second, "bytes_per_second");
  return std::move(document.profile);
}

void save_device_profile(const DeviceProfile& profile, const std::string& path) {
  write_json_file(path, to_json(profile), kWhat);
}

DeviceProfile load_device_profile(const std::string& path) {
  return load_json_file(path, kWhat, device_profile_from_json);
}

}  // namespace tidemark
