// Lines, segments and their recovery, as FORMAT.md has them. Not the order of renames around a
// checkpoint: that is journal_files.cpp's.
//
//   sums and numbers, commits and headers as text
//   read_segment     what is whole, what is torn, what is damaged
//   Segment          growing, appending
#include "storage-kit/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage::journal {
namespace {

constexpr std::size_t kSumDigits = 8;
constexpr std::size_t kSumBytes = kSumDigits + 1;  // and the blank
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kPage = 4096;

void put_sum(char* at, std::uint32_t sum) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (int shift = 28; shift >= 0; shift -= 4) {
        *at++ = kDigits[(sum >> static_cast<unsigned>(shift)) & 0xFU];
    }
}

void seal(std::string& line) {
    put_sum(line.data(), crc32c(std::string_view(line).substr(kSumBytes)));
    line += '\n';
}

// The JSON of a line (without its LF), nothing where the sum is not right.
std::optional<std::string_view> checked(std::string_view line) {
    if (line.size() <= kSumBytes || line[kSumDigits] != ' ') return std::nullopt;
    const std::string_view json = line.substr(kSumBytes);
    std::array<char, kSumDigits> expected{};
    put_sum(expected.data(), crc32c(json));
    if (line.substr(0, kSumDigits) != std::string_view(expected.data(), expected.size())) {
        return std::nullopt;
    }
    return json;
}

template <typename Number> bool read_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

bool is_text(std::string_view value) { return value.starts_with('"'); }

bool read_change(std::string_view text, Change& change) {
    change = {};
    bool named = false;
    for (json::Walk member(text); member.next();) {
        const std::string_view name = member.name();
        const std::string_view value = member.value();
        if (name == R"("set")" || name == R"("remove")" || name == R"("expire")") {
            if (named || !is_text(value)) return false;
            named = true;
            change.remove = name != R"("set")";
            change.expired = name == R"("expire")";
            change.key = json::unquoted(value);
        } else if (name == R"("value")") {
            change.value = value;
        } else if (name == R"("metadata")") {
            change.metadata = value;
        } else if (name == R"("created")") {
            if (!read_number(value, change.created_ms)) return false;
        } else if (name == R"("expires")") {
            if (!read_number(value, change.expires_ms)) return false;
        } else {
            return false;
        }
    }
    return named && (change.remove || !change.value.empty());
}

bool read_commit(std::string_view text, Commit& commit) {
    commit = {};
    for (json::Walk member(text); member.next();) {
        const std::string_view name = member.name();
        const std::string_view value = member.value();
        if (name == R"("revision")") {
            if (!read_number(value, commit.revision)) return false;
        } else if (name == R"("at")") {
            if (!read_number(value, commit.at_ms)) return false;
        } else if (name == R"("changes")") {
            for (json::Walk change(value); change.next();) {
                if (!read_change(change.value(), commit.changes.emplace_back())) return false;
            }
        } else {
            return false;
        }
    }
    return commit.revision != 0;
}

// Nesting that a value of kMaxDepth has in a line: commits, commit, changes, change.
constexpr std::size_t kLineDepth = json::kMaxDepth + 4;

bool is_json(std::string_view text) {
    try {
        json::check(text, kLineDepth);
        return true;
    } catch (const json::InvalidJson&) {
        return false;
    }
}

bool read_header_line(std::string_view line, const std::string& path, Header& header) {
    const auto text = checked(line);
    if (!text || !is_json(*text)) return false;
    std::uint64_t version = 0;
    bool journal = false;
    for (json::Walk member(*text); member.next();) {
        const std::string_view name = member.name();
        const std::string_view value = member.value();
        if (name == R"("larder")") journal = value == R"("journal")";
        if (name == R"("version")" && !read_number(value, version)) return false;
        if (name == R"("epoch")" && !read_number(value, header.epoch)) return false;
        if (name == R"("after")" && !read_number(value, header.after)) return false;
    }
    if (journal && version > kVersion) {
        throw Error(Errc::corrupt, "newer-format", "the data was written by a newer version")
            .because(
                fmt::format("{}: journal version {}, this program knows up to {}: run the "
                            "version that wrote it, and stop that one cleanly before going back",
                            path, version, kVersion));
    }
    return journal && version == kVersion;
}

std::string read_all(File& file) {
    std::string text(file.size(), '\0');
    text.resize(file.read(0, text));
    const std::size_t last = text.find_last_not_of('\0');
    text.resize(last == std::string::npos ? 0 : last + 1);
    return text;
}

// Whether any whole line begins after `at`: then what is wrong at `at` is no torn tail.
bool has_line_after(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        // A page that was lost leaves zeros in front of what followed it.
        const std::size_t begin = std::min(text.find_first_not_of('\0', at), end);
        if (end < text.size() && checked(text.substr(begin, end - begin))) return true;
        at = end + 1;
    }
    return false;
}

}  // namespace

void append_number(std::string& out, std::int64_t number) {
    std::array<char, 24> digits{};
    const auto done = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(digits.data(), done.ptr);
}

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 24> digits{};
    const auto done = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(digits.data(), done.ptr);
}

std::string open_line() { return std::string(kSumDigits, '0') + " ["; }

void close_line(std::string& line) {
    line += ']';
    seal(line);
}

void begin_commit(std::string& line, std::uint64_t revision, std::int64_t at_ms,
                  bool first_in_line) {
    line += first_in_line ? R"({"revision":)" : R"(,{"revision":)";
    append_number(line, revision);
    line += R"(,"at":)";
    append_number(line, at_ms);
    line += R"(,"changes":[)";
}

namespace {
void separate(std::string& line) {
    if (line.back() != '[') line += ',';
}
}  // namespace

void append_set(std::string& line, std::string_view key, std::string_view value,
                std::int64_t created_ms, std::int64_t expires_ms, std::string_view metadata) {
    separate(line);
    line += R"({"set":)";
    json::append_quoted(line, key);
    line += R"(,"value":)";
    line += value;
    line += R"(,"created":)";
    append_number(line, created_ms);
    if (expires_ms != 0) {
        line += R"(,"expires":)";
        append_number(line, expires_ms);
    }
    if (!metadata.empty()) {
        line += R"(,"metadata":)";
        line += metadata;
    }
    line += '}';
}

void append_remove(std::string& line, std::string_view key, bool expired) {
    separate(line);
    line += expired ? R"({"expire":)" : R"({"remove":)";
    json::append_quoted(line, key);
    line += '}';
}

void end_commit(std::string& line) { line += "]}"; }

std::optional<Header> read_header(File& file, const std::string& path) {
    std::string text(kPage, '\0');
    text.resize(file.read(0, text));
    const std::size_t end = text.find('\n');
    Header header;
    if (end == std::string::npos || !read_header_line(text.substr(0, end), path, header)) {
        return std::nullopt;
    }
    return header;
}

Contents read_segment(File& file, const std::string& path,
                      const std::function<std::string(const Commit&)>& take) {
    const std::string text = read_all(file);
    Contents contents;
    const auto stop = [&](End end, std::size_t at, std::string_view what) {
        contents.end = end;
        contents.why = fmt::format("{}: {} at byte {}", path, what, at);
        return contents;
    };
    std::size_t at = 0;
    Commit commit;
    while (at < text.size() || at == 0) {
        const std::string_view rest = std::string_view(text).substr(at);
        const std::size_t length = rest.find('\n');
        const bool closed = length != std::string_view::npos;
        const std::string_view line = rest.substr(0, closed ? length : rest.size());
        if (at == 0) {
            Header header;
            if (!closed || !read_header_line(line, path, header)) {
                return stop(End::damaged, 0, "no journal header");
            }
        } else {
            const auto json = closed ? checked(line) : std::nullopt;
            if (!json) {
                if (has_line_after(text, at)) return stop(End::damaged, at, "a line is damaged");
                return stop(End::torn, at,
                            fmt::format("{} bytes of a last, incomplete line", rest.size()));
            }
            if (!is_json(*json)) return stop(End::damaged, at, "a line is no json");
            for (json::Walk element(*json); element.next();) {
                if (!read_commit(element.value(), commit)) {
                    return stop(End::damaged, at, "a commit is not understood");
                }
                const std::string wrong = take(commit);
                if (!wrong.empty()) return stop(End::damaged, at, wrong);
            }
        }
        at += length + 1;
        contents.end_offset = at;
    }
    return contents;
}

std::size_t count_whole_lines(File& file, std::uint64_t from) {
    const std::string text = read_all(file);
    std::size_t count = 0;
    for (std::size_t at = from; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos) break;
        const std::size_t begin = std::min(text.find_first_not_of('\0', at), end);
        const auto json = checked(std::string_view(text).substr(begin, end - begin));
        if (json && json->starts_with('[')) ++count;
        at = end + 1;
    }
    return count;
}

std::unique_ptr<Segment> Segment::create(FileSystem& files, const std::string& path,
                                         std::uint64_t bytes) {
    auto made = std::unique_ptr<Segment>(new Segment(files.create(path)));
    made->file_->allocate(0, bytes);
    made->allocated_ = bytes;
    made->sync();
    return made;
}

std::unique_ptr<Segment> Segment::rewrite(FileSystem& files, const std::string& path,
                                          std::uint64_t used) {
    auto made = std::unique_ptr<Segment>(new Segment(files.open_write(path)));
    File& file = *made->file_;
    std::string text(file.size(), '\0');
    if (file.read(0, text) < used) {
        throw std::system_error(std::make_error_code(std::errc::io_error), "read " + path);
    }
    std::fill(text.begin() + static_cast<std::ptrdiff_t>(used), text.end(), '\0');
    const std::string_view whole(text);
    file.write(0, {&whole, 1});
    made->sync();
    made->used_ = used;
    made->allocated_ = whole.size();
    return made;
}

void Segment::write_header(const Header& header) {
    std::string line(kSumBytes, ' ');
    line += fmt::format(R"({{"larder":"journal","version":{},"epoch":{},"after":{}}})", kVersion,
                        header.epoch, header.after);
    seal(line);
    append(line);
    sync();
}

bool Segment::grow(std::uint64_t bytes) {
    try {
        file_->allocate(allocated_, bytes);
        allocated_ += bytes;
        return true;
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
    }
    file_->truncate(allocated_);  // what was had of it is somebody else's need, too
    return false;
}

bool Segment::has_room(std::uint64_t length, bool removal_only, bool may_grow) {
    const std::uint64_t wanted = used_ + length + (removal_only ? 0 : kReserveBytes);
    if (wanted <= allocated_) return true;
    if (!may_grow) return false;
    const std::uint64_t least = (wanted - allocated_ + kPage - 1) / kPage * kPage;
    const std::uint64_t step = std::max(least, step_);
    if (grow(step)) {
        step_ = std::min(step_ * 2, kMostBytes);
        return true;
    }
    return step > least && grow(least);
}

void Segment::lend_reserve() {
    const std::uint64_t kept = (used_ + kPage - 1) / kPage * kPage;
    if (kept >= allocated_) return;
    file_->truncate(kept);
    allocated_ = kept;
}

void Segment::append(std::string_view line) {
    try {
        file_->write(used_, {&line, 1});
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
        // What a short write left must not stand behind the next, shorter line.
        const std::string zeros(line.size(), '\0');
        const std::string_view part(zeros);
        const std::uint64_t here = std::min<std::uint64_t>(part.size(), allocated_ - used_);
        const std::string_view erased = part.substr(0, here);
        file_->write(used_, {&erased, 1});
        throw;
    }
    used_ += line.size();
}

}  // namespace larder::storage::journal
