// The daemon's messages: one line each, to the journal or to files. Not the access log, which has
// its own file and its own way of not waiting (access_log.hpp).
//
//   Log of a plugin ┐
//   Logger          ├→ LogWriter → stderr, or logs/app.log and logs/error.log
//   Poco::Logger    ┘
//
// Poco's FileChannel is not used: it keeps lines back and does not recover from a full disk.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "larder/host.hpp"

namespace larder::observe {

using Logger = std::function<void(Level, std::string_view)>;

// "debug" "info" "notice" "warning" "error", as in daemon.log_level. [any]
std::string_view level_word(Level level) noexcept;
std::optional<Level> level_of(std::string_view word) noexcept;

// When a log file is numbered and begun anew (storage-kit/rotation.hpp).
struct Rotation {
    std::uint64_t at = 0;  // bytes; 0: never
    std::size_t keep = 5;  // numbered files
};

struct LogOptions {
    // Empty: to `stream`. Else the folder of app.log (all messages) and error.log (warning and
    // above); made when it is not there, its parent must be.
    std::string folder = {};
    Level level = Level::info;
    int stream = 2;                               // a descriptor that stays the caller's
    std::optional<bool> terminal = std::nullopt;  // of the stream; looked up when not given
    Rotation rotation = {};                       // of the files
};

// Formats lines and writes each with one write(2).
//
//   stream, not a terminal   <4>kv: the line's message              (the journal's prefix)
//   terminal                 15:26:28.123 warning kv: message       (UTC)
//   files                    2026-11-22T15:26:28.123Z warning kv: message
//
// Control bytes and what is no UTF-8 stand escaped, so that nothing a client sent starts a line or
// moves a cursor. A full disk loses lines, counted in lost(), and mends by itself.
class LogWriter {
public:
    // Throws Error{unavailable} when the files cannot be opened.
    explicit LogWriter(LogOptions options);
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    void write(Level level, std::string_view source, std::string_view message) noexcept;  // [any]
    bool wants(Level level) const noexcept {
        return level >= level_.load(std::memory_order_relaxed);
    }
    void set_level(Level level) noexcept {
        level_.store(level, std::memory_order_relaxed);
    }  // [any]

    // Opens the files anew, after they were moved aside. The old ones stay in use, with a warning,
    // when that fails. [any]
    void reopen() noexcept;
    std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }  // lines

private:
    struct Output {
        std::string name;  // path, for files
        int fd = -1;
        bool torn = false;       // the last line was cut: the next begins with a line feed
        std::uint64_t size = 0;  // of the file, as far as it is ours
    };

    void put(Output& output, std::string& line) noexcept;
    void rotate(Output& output) noexcept;

    const LogOptions options_;
    bool terminal_ = false;
    std::atomic<Level> level_;
    std::atomic<std::uint64_t> lost_{0};
    std::mutex mutex_;
    Output all_, errors_;  // guarded by mutex_
};

// A source's view of the writer, which must outlive it. [any]
class NamedLog final : public Log {
public:
    NamedLog(LogWriter& writer, std::string source) : writer_(writer), source_(std::move(source)) {}
    void write(Level level, std::string_view message) noexcept override {
        writer_.write(level, source_, message);
    }

private:
    LogWriter& writer_;
    const std::string source_;
};

// The same as a function. The writer must outlive it. [any]
Logger logger_for(LogWriter& writer, std::string source);

// As long as it lives, what Poco's loggers get goes to `writer`, the logger's name as source; the
// writer alone judges levels. Goes before the writer: Poco's frame logs still when it ends, also
// after a start that failed. [control]
class PocoLink {
public:
    explicit PocoLink(LogWriter& writer);
    ~PocoLink();
    PocoLink(const PocoLink&) = delete;
    PocoLink& operator=(const PocoLink&) = delete;
};

// A recurring complaint, thinned: written the first time, then when 10 s, 20 s, 40 s … an hour have
// passed since it was last written, with the number of times that were held back.
class Complaint {
public:
    using Clock = std::chrono::steady_clock;

    // True when it was written. [any]
    bool complain(Log& log, Level level, std::string_view message,
                  Clock::time_point now = Clock::now());
    // The trouble is over: says so once, if it was ever complained about. [any]
    bool relent(Log& log, Level level, std::string_view message,
                Clock::time_point now = Clock::now());

private:
    std::mutex mutex_;
    bool complaining_ = false;
    std::uint64_t held_back_ = 0, total_ = 0;
    Clock::time_point began_, written_;
    Clock::duration interval_{};
};

}  // namespace larder::observe
