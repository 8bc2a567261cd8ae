#include "tidemark/report/layout_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

std::string escape(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return safe;
}

// Neighbouring rows get hues far apart (steps of the golden angle).
int hue_of(std::size_t row) { return static_cast<int>(row * 137 % 360); }

class Picture {
 public:
  Picture(const Instance& instance, const Layout& layout, int width, int height)
      : instance_(instance), layout_(layout), width_(width), height_(height) {
    bool is_first = true;
    for (const Buffer& buffer : instance.buffers) {
      first_ = is_first ? buffer.begin : std::min(first_, buffer.begin);
      last_ = is_first ? buffer.end : std::max(last_, buffer.end);
      is_first = false;
    }
  }

  std::string draw(Bytes lower_bound) {
    put("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
        "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n",
        width_, height_);
    put("<rect width=\"{}\" height=\"{}\" fill=\"#fff\"/>\n", width_, height_);
    for (std::size_t row = 0; row < instance_.buffers.size(); ++row) draw_box(row);
    const double bound = y(lower_bound);
    put("<path d=\"M{} {:.2f}H{}\" stroke=\"#000\" stroke-dasharray=\"6 4\"/>\n", kMargin, bound,
        width_ - kMargin);
    put("<text x=\"{}\" y=\"{}\">height {} bytes, lower bound {} bytes (dashed), {} buffers; time "
        "{} "
        "to {} to the right, addresses up</text>\n</svg>\n",
        kMargin, height_ - 8, layout_.height, lower_bound, instance_.buffers.size(), first_, last_);
    return std::move(text_);
  }

 private:
  static constexpr int kMargin = 16;
  static constexpr int kCaption = 28;

  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  double x(Time time) const {
    const double span = static_cast<double>(std::max<Time>(last_ - first_, 1));
    return kMargin + (width_ - 2 * kMargin) * (static_cast<double>(time - first_) / span);
  }

  double y(Bytes address) const {
    const double top = static_cast<double>(std::max<Bytes>(layout_.height, 1));
    const double room = height_ - kMargin - kCaption;
    return kMargin + room * (1 - static_cast<double>(address) / top);
  }

  void draw_box(std::size_t row) {
    const Buffer& buffer = instance_.buffers[row];
    const Bytes low = layout_.offsets[row];
    const Bytes high = low + padded_size(instance_, buffer);
    if (low == high || buffer.begin == buffer.end) return;
    put("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
        "fill=\"hsl({},65%,70%)\" stroke=\"#333\" stroke-width=\"0.4\">",
        x(buffer.begin), y(high), x(buffer.end) - x(buffer.begin), y(low) - y(high), hue_of(row));
    put("<title>{}: {} bytes at {}, time {} to {}</title></rect>\n",
        escape(name_of(instance_, static_cast<std::int32_t>(row))), buffer.size, low, buffer.begin,
        buffer.end);
  }

  const Instance& instance_;
  const Layout& layout_;
  int width_;
  int height_;
  Time first_ = 0;
  Time last_ = 0;
  std::string text_;
};

}  // namespace

std::string to_svg(const Instance& instance, const Layout& layout, Bytes lower_bound, int width,
                   int height) {
  TIDEMARK_CHECK_VALUE(layout.offsets.size() == instance.buffers.size(), "a layout of ",
                       layout.offsets.size(), " offsets for ", instance.buffers.size(),
                       " buffers");
  return Picture(instance, layout, width, height).draw(lower_bound);
}

}  // namespace tidemark
