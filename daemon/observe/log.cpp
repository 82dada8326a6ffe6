// Writing of messages, and the two doors to it: larder::Log and Poco's loggers. Not rotation: that
// is logrotate's, which calls for reopen().
#include "observe/log.hpp"

#include <Poco/Channel.h>
#include <Poco/Logger.h>
#include <Poco/Message.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "larder/time.hpp"
#include "observe/escape.hpp"
#include "storage-kit/rotation.hpp"

namespace larder::observe {

namespace {

constexpr std::array<std::pair<Level, std::string_view>, 5> kLevels{{
    {Level::debug, "debug"},
    {Level::info, "info"},
    {Level::notice, "notice"},
    {Level::warning, "warning"},
    {Level::error, "error"},
}};
constexpr std::size_t kMaxMessage = 16U << 10U;  // bytes; the rest says nothing to anybody
constexpr std::chrono::seconds kFirstInterval{10};
constexpr std::chrono::seconds kLongestInterval{3600};

int syslog_priority(Level level) noexcept {
    switch (level) {
        case Level::debug: return 7;
        case Level::info: return 6;
        case Level::notice: return 5;
        case Level::warning: return 4;
        case Level::error: return 3;
    }
    return 6;
}

int open_log(const std::string& path) noexcept {
    return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

// Writes all of it; false when the descriptor would not take the rest.
bool write_all(int fd, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t wrote = ::write(fd, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

Level level_from_poco(Poco::Message::Priority priority) noexcept {
    if (priority <= Poco::Message::PRIO_ERROR) return Level::error;
    if (priority == Poco::Message::PRIO_WARNING) return Level::warning;
    if (priority == Poco::Message::PRIO_NOTICE) return Level::notice;
    if (priority == Poco::Message::PRIO_INFORMATION) return Level::info;
    return Level::debug;
}

std::uint64_t size_of(int fd) noexcept {
    struct stat facts {};
    return ::fstat(fd, &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

class PocoChannel final : public Poco::Channel {
public:
    explicit PocoChannel(LogWriter& writer) : writer_(writer) {}
    void log(const Poco::Message& message) override {
        writer_.write(level_from_poco(message.getPriority()), message.getSource(),
                      message.getText());
    }

private:
    ~PocoChannel() override = default;  // counted by reference
    LogWriter& writer_;
};

}  // namespace

std::string_view level_word(Level level) noexcept {
    for (const auto& [known, word] : kLevels) {
        if (known == level) return word;
    }
    return "info";
}

std::optional<Level> level_of(std::string_view word) noexcept {
    for (const auto& [level, known] : kLevels) {
        if (known == word) return level;
    }
    return std::nullopt;
}

LogWriter::LogWriter(LogOptions options) : options_(std::move(options)), level_(options_.level) {
    if (options_.folder.empty()) {
        all_.fd = options_.stream;
        terminal_ = options_.terminal ? *options_.terminal : ::isatty(options_.stream) == 1;
        return;
    }
    all_.name = options_.folder + "/app.log";
    errors_.name = options_.folder + "/error.log";
    const bool made = ::mkdir(options_.folder.c_str(), 0750) == 0 || errno == EEXIST;
    if (made) all_.fd = open_log(all_.name);
    if (all_.fd >= 0) errors_.fd = open_log(errors_.name);
    if (errors_.fd >= 0) {
        all_.size = size_of(all_.fd);
        errors_.size = size_of(errors_.fd);
        return;
    }
    const std::string why = std::generic_category().message(errno);
    if (all_.fd >= 0) ::close(all_.fd);
    throw Error(Errc::unavailable, "log-unavailable", "the log files cannot be opened")
        .because(
            fmt::format("expected to write to {}, got '{}'; check the folder's owner and mode, or "
                        "set daemon.log_target = stderr",
                        all_.fd < 0 ? all_.name : errors_.name, why));
}

LogWriter::~LogWriter() {
    if (options_.folder.empty()) return;
    ::close(all_.fd);
    ::close(errors_.fd);
}

void LogWriter::put(Output& output, std::string& line) noexcept {
    const std::string_view text = output.torn ? line : std::string_view(line).substr(1);
    output.torn = !write_all(output.fd, text);
    if (output.torn) lost_.fetch_add(1, std::memory_order_relaxed);
    output.size += text.size();
    const bool is_file = !options_.folder.empty();
    if (is_file && options_.rotation.at > 0 && output.size >= options_.rotation.at) rotate(output);
}

// With mutex_ held. When it fails the file grows on, and it is tried again when it has doubled.
void LogWriter::rotate(Output& output) noexcept {
    output.size = 0;
    if (storage::rotate_file(output.name, options_.rotation.keep) != 0) return;
    const int fresh = open_log(output.name);
    if (fresh < 0) return;
    ::close(std::exchange(output.fd, fresh));
    output.torn = false;
}

void LogWriter::write(Level level, std::string_view source, std::string_view message) noexcept {
    if (!wants(level)) return;
    try {
        const bool cut = message.size() > kMaxMessage;
        std::string line = "\n";  // used only after a torn line
        line.reserve(64 + message.size());
        const bool files = !options_.folder.empty();
        if (files || terminal_) {
            const std::string time = rfc3339(unix_now_ms());
            line += files ? std::string_view(time) : std::string_view(time).substr(11, 12);
            line.append(" ").append(level_word(level)).append(" ");
        } else {
            line += fmt::format("<{}>", syslog_priority(level));
        }
        append_escaped(line, source);
        line += source.empty() ? "" : ": ";
        append_escaped(line, message.substr(0, kMaxMessage));
        line += cut ? "…\n" : "\n";
        const std::lock_guard lock(mutex_);
        put(all_, line);
        if (files && level >= Level::warning) put(errors_, line);
    } catch (const std::bad_alloc&) {
        lost_.fetch_add(1, std::memory_order_relaxed);
    }
}

void LogWriter::reopen() noexcept {
    if (options_.folder.empty()) return;
    for (Output* const output : {&all_, &errors_}) {
        const int fresh = open_log(output->name);
        if (fresh < 0) {
            const int error = errno;
            try {
                write(
                    Level::warning, "log",
                    fmt::format("{} could not be opened anew, got '{}'; the old file stays in use",
                                output->name, std::generic_category().message(error)));
            } catch (const std::bad_alloc&) {
                lost_.fetch_add(1, std::memory_order_relaxed);
            }
            continue;
        }
        const std::lock_guard lock(mutex_);
        ::close(std::exchange(output->fd, fresh));
        output->torn = false;
        output->size = size_of(fresh);
    }
}

Logger logger_for(LogWriter& writer, std::string source) {
    return [&writer, source = std::move(source)](Level level, std::string_view message) {
        writer.write(level, source, message);
    };
}

PocoLink::PocoLink(LogWriter& writer) {
    Poco::Logger::root();  // else there is no logger yet that could get the channel
    const Poco::AutoPtr<Poco::Channel> channel(new PocoChannel(writer));
    // "" reaches the loggers that exist already; later ones inherit from the root
    Poco::Logger::setChannel("", channel);
    Poco::Logger::setLevel("", Poco::Message::PRIO_TRACE);
}

PocoLink::~PocoLink() { Poco::Logger::setChannel("", nullptr); }

bool Complaint::complain(Log& log, Level level, std::string_view message, Clock::time_point now) {
    std::string text;
    {
        const std::lock_guard lock(mutex_);
        ++total_;
        if (complaining_ && now - written_ < interval_) {
            ++held_back_;
            return false;
        }
        text = message;
        if (held_back_ != 0) {
            const auto span = std::chrono::duration_cast<std::chrono::seconds>(now - written_);
            text += fmt::format(" (and {} times more in the last {} s)", held_back_, span.count());
        }
        const Clock::duration doubled = interval_ * 2;
        interval_ =
            !complaining_ ? kFirstInterval : std::min<Clock::duration>(doubled, kLongestInterval);
        if (!complaining_) began_ = now;
        complaining_ = true;
        held_back_ = 0;
        written_ = now;
    }
    log.write(level, text);
    return true;
}

bool Complaint::relent(Log& log, Level level, std::string_view message, Clock::time_point now) {
    std::string text;
    {
        const std::lock_guard lock(mutex_);
        if (!complaining_) return false;
        const auto span = std::chrono::duration_cast<std::chrono::seconds>(now - began_);
        text = fmt::format("{} (after {} complaints in {} s)", message, total_, span.count());
        complaining_ = false;
        total_ = held_back_ = 0;
    }
    log.write(level, text);
    return true;
}

}  // namespace larder::observe
