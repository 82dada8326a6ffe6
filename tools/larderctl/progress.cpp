#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <utility>

#include "table.hpp"

namespace larder::ctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStep = std::chrono::milliseconds(200);
constexpr std::size_t kBar = 24, kName = 30;  // columns

}  // namespace

std::string size_text(std::uint64_t bytes) {
    static constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    auto value = static_cast<double>(bytes) / 1024.0;
    std::size_t unit = 0;
    for (; value >= 1024.0 && unit + 1 < kUnits.size(); ++unit) value /= 1024.0;
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Progress::Progress(std::string name, std::uint64_t total)
    : name_(printable(name).substr(0, kName)),
      total_(total),
      shown_(::isatty(STDERR_FILENO) == 1),
      began_(Clock::now()),
      next_(began_ + kStep) {}

Progress::~Progress() {
    if (has_line_) std::cerr << "\r\x1b[K" << std::flush;
}

void Progress::add(std::uint64_t bytes) {
    done_ += bytes;
    if (!shown_) return;
    const auto now = Clock::now();
    if (now >= next_) show(now);
}

void Progress::show(Clock::time_point now) {
    next_ = now + kStep;
    has_line_ = true;
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const auto rate = static_cast<std::uint64_t>(static_cast<double>(done_) / seconds);
    std::string bar;
    if (total_ > 0) {
        const auto filled = static_cast<std::size_t>(std::min(done_, total_) * kBar / total_);
        bar = fmt::format(" [{}{}] {:>3} %", std::string(filled, '#'),
                          std::string(kBar - filled, '.'), std::min(done_, total_) * 100 / total_);
    }
    std::cerr << fmt::format("\r\x1b[K{:<{}}{} {} {}/s", name_, kName, bar, size_text(done_),
                             size_text(rate))
              << std::flush;
}

}  // namespace larder::ctl
