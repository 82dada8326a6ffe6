#include "support/answer_record.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace larder::test {
namespace {

constexpr std::size_t kMostBody = 64U << 10U;  // a longer one is recorded without its body

// Hexadecimal, since tests send and get bytes of every kind; "-" for nothing.
std::string hex(std::string_view bytes) {
    if (bytes.empty()) return "-";
    std::string digits;
    for (const char byte : bytes) {
        fmt::format_to(std::back_inserter(digits), "{:02x}", static_cast<unsigned char>(byte));
    }
    return digits;
}

}  // namespace

void record_answer(std::string_view method, std::string_view target, const Answer& answer) {
    static const char* const path = std::getenv("RECORD_ANSWERS");
    if (path == nullptr) return;
    static const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const bool keeps_body = answer.body.size() <= kMostBody && method != "HEAD";
    const std::string line =
        fmt::format("{} {} {} {} {} {}\n", hex(method), hex(target), answer.status,
                    hex(answer.header("Content-Type")), keeps_body ? 1 : 0,
                    hex(keeps_body ? std::string_view(answer.body) : std::string_view()));
    // One write a line: threads of a test, and its forks, append side by side.
    if (write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        throw std::runtime_error(fmt::format("{} cannot be written", path));
    }
}

}  // namespace larder::test
