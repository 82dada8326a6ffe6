// Checkpoint files by streams: a million keys go through a block of memory each way, but for files
// of another hand, which are read whole. Not a JSON library's reading: our own lines have one form.
//
//   Lines, Cursor    reading by blocks, reading what has one form
//   Writer           both files in one walk
//   read_pair, read_meta, read_foreign
#include "storage-kit/checkpoint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "larder/error.hpp"
#include "storage-kit/journal.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage::checkpoint {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kHeadBytes = 512;  // padded, so that it can be written last
constexpr std::size_t kBlockBytes = 1U << 20U;
constexpr std::uint64_t kSyncBytes = 8U << 20U;  // so that the last sync is short for the journal

// A file's lines, hashed as they are read.
class Lines {
public:
    Lines(FileSystem& files, const std::string& path, std::uint64_t offset = 0)
        : file_(files.open_read(path)), offset_(offset) {}

    // Without its LF; good until the next call. False at the end. Bytes after the last LF are a
    // line.
    bool next(std::string_view& line) {
        for (std::size_t searched = begin_;;) {
            const std::size_t found = buffer_.find('\n', searched);
            if (found != std::string::npos && found < end_) {
                line = std::string_view(buffer_).substr(begin_, found - begin_);
                begin_ = found + 1;
                return true;
            }
            searched = end_ - begin_;
            if (!fill()) break;
        }
        line = std::string_view(buffer_).substr(begin_, end_ - begin_);
        begin_ = end_;
        return !line.empty();
    }

    Sha256& sha() { return sha_; }

private:
    // Moves what is left to the front and reads on behind it.
    bool fill() {
        buffer_.erase(0, begin_);
        end_ -= begin_;
        begin_ = 0;
        buffer_.resize(end_ + std::max(kBlockBytes, end_));
        const std::size_t n = file_->read(offset_, {buffer_.data() + end_, buffer_.size() - end_});
        sha_.update({buffer_.data() + end_, n});
        buffer_.resize(end_ + n);
        end_ += n;
        offset_ += n;
        return n > 0;
    }

    std::unique_ptr<File> file_;
    std::uint64_t offset_;
    std::string buffer_;
    std::size_t begin_ = 0, end_ = 0;
    Sha256 sha_;
};

// Reads what was written in one fixed order; `ok` stays false after the first surprise.
class Cursor {
public:
    explicit Cursor(std::string_view text) : text_(text) {}
    void expect(std::string_view token) {
        if (!accept(token)) ok = false;
    }
    bool accept(std::string_view token) {
        if (!text_.starts_with(token)) return false;
        text_.remove_prefix(token.size());
        return true;
    }
    template <typename Number> void number(Number& value) {
        const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
        if (error != std::errc()) {
            ok = false;
            return;
        }
        text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    }
    std::string_view literal() {
        std::size_t end = 1;
        while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
        if (text_.empty() || text_[0] != '"' || end >= text_.size()) {
            ok = false;
            return {};
        }
        return take(end + 1);
    }
    std::string_view take(std::size_t n) {
        if (n > text_.size()) ok = false;
        const std::string_view taken = text_.substr(0, n);
        text_.remove_prefix(taken.size());
        return taken;
    }
    std::string_view rest() const { return text_; }

    bool ok = true;

private:
    std::string_view text_;
};

constexpr std::size_t kHashDigits = 16;

bool read_line(std::string_view text, Line& line) {
    Cursor at(text);
    at.expect(R"({"k":)");
    line.key_literal = at.literal();
    at.expect(R"(,"r":)");
    at.number(line.stamp.revision);
    at.expect(R"(,"c":)");
    at.number(line.stamp.created_ms);
    at.expect(R"(,"u":)");
    at.number(line.stamp.updated_ms);
    line.stamp.expires_ms = 0;
    if (at.accept(R"(,"x":)")) at.number(line.stamp.expires_ms);
    // The hash has a fixed size and stands last: what is between is the metadata.
    constexpr std::string_view kBefore = R"(,"h":")";
    constexpr std::string_view kAfter = R"("})";
    const std::size_t tail = kBefore.size() + kHashDigits + kAfter.size();
    line.metadata = {};
    if (at.accept(R"(,"m":)")) {
        if (at.rest().size() < tail) return false;
        line.metadata = at.take(at.rest().size() - tail);
    }
    at.expect(kBefore);
    line.value_hash = at.take(kHashDigits);
    at.expect(kAfter);
    return at.ok && at.rest().empty();
}

void write_line(std::string& out, std::string_view key_literal, const Document& document,
                std::string_view hash) {
    out += R"({"k":)";
    out += key_literal;
    out += R"(,"r":)";
    journal::append_number(out, document.revision);
    out += R"(,"c":)";
    journal::append_number(out, document.created_ms);
    out += R"(,"u":)";
    journal::append_number(out, document.updated_ms);
    if (document.expires_ms != 0) {
        out += R"(,"x":)";
        journal::append_number(out, document.expires_ms);
    }
    if (!document.metadata.empty()) {
        out += R"(,"m":)";
        out += document.metadata;
    }
    out += R"(,"h":")";
    out += hash;
    out += "\"}\n";
}

// The head's text up to its own sum: what the sum covers besides the lines.
std::string head_text(const Head& head) {
    return fmt::format(
        R"({{"larder":"meta","version":{},"epoch":{},"revision":{},"folded":{},"keys":{},)"
        R"("json_sha256":"{}","previous_sha256":"{}","sha256":")",
        kVersion, head.epoch, head.revision, head.folded, head.keys, head.json_sha256,
        head.previous_sha256);
}

// The first line of a readable file that has keys.
std::string opening(const Shape& shape) {
    return shape.member.empty() ? "{" : fmt::format("{{\"{}\": {{", shape.member);
}

// 0 where the value has no such member, or it is no integer.
std::uint64_t integer_member(std::string_view value, std::string_view name) {
    for (json::Walk member(value); member.next();) {
        if (member.name().substr(1, member.name().size() - 2) != name) continue;
        std::uint64_t number = 0;
        Cursor(member.value()).number(number);
        return number;
    }
    return 0;
}

std::string unquoted_or_empty(std::string_view literal) {
    return literal.starts_with('"') ? json::unquoted(literal) : std::string();
}

bool is_json(std::string_view text) {
    try {
        json::check(text);
        return true;
    } catch (const json::InvalidJson&) {
        return false;
    }
}

// The head and its own sum; nothing where it is not understood.
std::optional<std::pair<Head, std::string>> read_head(FileSystem& files, const std::string& path) {
    std::string text(kHeadBytes, '\0');
    text.resize(files.open_read(path)->read(0, text));
    if (text.size() < kHeadBytes || text.back() != '\n' || !is_json(text)) return std::nullopt;
    std::pair<Head, std::string> result;
    auto& [head, sum] = result;
    std::uint64_t version = 0;
    for (json::Walk member(text); member.next();) {
        const std::string_view name = member.name();
        Cursor value(member.value());
        if (name == R"("version")") value.number(version);
        if (name == R"("epoch")") value.number(head.epoch);
        if (name == R"("revision")") value.number(head.revision);
        if (name == R"("folded")") value.number(head.folded);
        if (name == R"("keys")") value.number(head.keys);
        if (name == R"("json_sha256")") head.json_sha256 = unquoted_or_empty(member.value());
        if (name == R"("previous_sha256")")
            head.previous_sha256 = unquoted_or_empty(member.value());
        if (name == R"("sha256")") sum = unquoted_or_empty(member.value());
        if (!value.ok) return std::nullopt;
    }
    if (version > kVersion) {
        throw Error(Errc::corrupt, "newer-format", "the data was written by a newer version")
            .because(
                fmt::format("{}: meta version {}, this program knows up to {}: run the version "
                            "that wrote it",
                            path, version, kVersion));
    }
    if (version != kVersion || !text.starts_with(head_text(head))) return std::nullopt;
    return result;
}

// Ends the sum over the lines with the head.
std::string sum_of(Sha256& lines, const Head& head) {
    lines.update(head_text(head));
    return lines.finish_hex();
}

// The first line of a .meta, after its lines were summed up.
std::string head_line(const Head& head, Sha256& lines) {
    std::string first = head_text(head) + sum_of(lines, head) + "\"}";
    first.resize(kHeadBytes - 1, ' ');
    return first += '\n';
}

}  // namespace

Paths::Paths(const std::string& readable, Shape around)
    : json(readable),
      json_tmp(readable + ".tmp"),
      meta(readable + ".meta"),
      meta_tmp(readable + ".meta.tmp"),
      journal(readable + ".journal"),
      journal_old(readable + ".journal.old"),
      journal_new(readable + ".journal.new"),
      folder(parent_of(readable)),
      shape(std::move(around)) {}

std::string hash_of(Sha256& sha, std::string_view value) {
    sha.update(value);
    return sha.finish_hex().substr(0, kHashDigits);
}

Writer::Writer(FileSystem& files, const Paths& paths) : shape_(paths.shape) {
    json_.file = files.create(paths.json_tmp);
    meta_.file = files.create(paths.meta_tmp);
    meta_.offset = kHeadBytes;
}

void Writer::flush(Output& output) {
    const std::string_view part(output.buffer);
    output.file->write(output.offset, {&part, 1});
    output.sha.update(part);
    output.offset += part.size();
    output.buffer.clear();
    if (output.offset - output.synced < kSyncBytes) return;
    output.file->sync_data();
    output.synced = output.offset;
}

void Writer::add(const Document& document) {
    if (keys_++ == 0) {
        json_.buffer.append(opening(shape_)).append("\n");
    } else {
        json_.buffer += ",\n";
    }
    if (!shape_.sum.empty()) sum_ += integer_member(document.value, shape_.sum_of);
    const std::size_t begin = json_.buffer.size();
    json::append_quoted(json_.buffer, document.key);
    const std::string_view literal = std::string_view(json_.buffer).substr(begin);
    write_line(meta_.buffer, literal, document, hash_of(value_sha_, document.value));
    json_.buffer += ": ";
    json_.buffer += document.value;
    if (json_.buffer.size() >= kBlockBytes) flush(json_);
    if (meta_.buffer.size() >= kBlockBytes) flush(meta_);
}

void Writer::finish(Head& head) {
    if (keys_ == 0) json_.buffer += opening(shape_);
    json_.buffer += keys_ == 0 ? "}" : "\n}";
    if (!shape_.sum.empty()) json_.buffer += fmt::format(", \"{}\": {}", shape_.sum, sum_);
    if (!shape_.count.empty()) json_.buffer += fmt::format(", \"{}\": {}", shape_.count, keys_);
    json_.buffer += shape_.member.empty() ? "\n" : "}\n";
    flush(json_);
    flush(meta_);
    head.keys = keys_;
    head.json_sha256 = json_.sha.finish_hex();
    const std::string first = head_line(head, meta_.sha);
    const std::string_view part(first);
    meta_.file->write(0, {&part, 1});
    json_.file->sync_data();
    meta_.file->sync_data();
}

void write_cleared(FileSystem& files, const Paths& paths, const Head& head) {
    Sha256 no_lines;
    const std::string first = head_line(head, no_lines);
    const std::string_view part(first);
    const auto file = files.create(paths.meta_tmp);
    file->write(0, {&part, 1});
    file->sync_data();
}

std::optional<Pair> read_pair(FileSystem& files, const std::string& json_path,
                              const std::string& meta_path, const Shape& shape) {
    if (!files.exists(json_path) || !files.exists(meta_path)) return std::nullopt;
    const auto head = read_head(files, meta_path);
    if (!head) return std::nullopt;
    std::optional<Pair> pair(std::in_place);
    pair->head = head->first;
    Lines values(files, json_path);
    Lines stamps(files, meta_path, kHeadBytes);
    std::string_view value;
    std::string_view text;
    Line line;
    const std::string first = opening(shape);
    const bool begins = values.next(value) &&
                        (pair->head.keys == 0 ? value.starts_with(first + "}") : value == first);
    if (!begins) return std::nullopt;
    while (stamps.next(text)) {
        if (!read_line(text, line) || !values.next(value)) return std::nullopt;
        const std::size_t colon = line.key_literal.size();
        if (!value.starts_with(line.key_literal) || value.substr(colon, 2) != ": ") {
            return std::nullopt;
        }
        value.remove_prefix(colon + 2);
        if (value.ends_with(',')) value.remove_suffix(1);
        const bool plain = line.key_literal.find('\\') == std::string_view::npos;
        const std::string_view inner = line.key_literal.substr(1, colon - 2);
        pair->index.put(plain ? make_document(line.stamp, inner, value, line.metadata)
                              : make_document(line.stamp, json::unquoted(line.key_literal), value,
                                              line.metadata));
    }
    while (values.next(value)) {  // the rest is only hashed
    }
    const bool whole = sum_of(stamps.sha(), pair->head) == head->second &&
                       values.sha().finish_hex() == pair->head.json_sha256 &&
                       pair->index.size() == pair->head.keys;
    if (!whole) return std::nullopt;
    return pair;
}

Meta read_meta(FileSystem& files, const std::string& path,
               const std::function<void(const Line&)>& take) {
    Meta meta;
    const auto head = read_head(files, path);
    if (!head) return meta;
    meta.head = head->first;
    Lines lines(files, path, kHeadBytes);
    std::string_view text;
    Line line;
    while (lines.next(text)) {
        if (!read_line(text, line)) return meta;
        take(line);
    }
    meta.whole = sum_of(lines.sha(), head->first) == head->second;
    return meta;
}

std::string sha256_of(FileSystem& files, const std::string& path) {
    if (!files.exists(path)) return {};
    const auto file = files.open_read(path);
    Sha256 sha;
    std::string block(kBlockBytes, '\0');
    std::uint64_t offset = 0;
    while (const std::size_t n = file->read(offset, block)) {
        sha.update(std::string_view(block).substr(0, n));
        offset += n;
    }
    return sha.finish_hex();
}

void read_foreign(FileSystem& files, const std::string& path, const Shape& shape,
                  const std::function<void(std::string_view, std::string_view)>& take) {
    const auto file = files.open_read(path);
    std::string text(file->size(), '\0');
    text.resize(file->read(0, text));
    const auto refuse = [&](std::size_t offset, std::string_view why) {
        return Error(Errc::corrupt, "unreadable", "the data file is not a json object")
            .because(fmt::format("{}: {} at byte {}: correct the file, or move it away and start "
                                 "again; nothing was changed",
                                 path, why, offset));
    };
    // And the objects around the values.
    const std::size_t depth = json::kMaxDepth + (shape.member.empty() ? 1 : 2);
    try {
        json::check(text, depth);
    } catch (const json::InvalidJson& error) {
        throw refuse(error.offset(), error.what());
    }
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (text[first] != '{') throw refuse(first, "expected an object of keys and values");
    std::string_view keys = text;
    if (!shape.member.empty()) {
        keys = {};
        bool any = false;
        for (json::Walk member(text); member.next(); any = true) {
            if (json::unquoted(member.name()) == shape.member) keys = member.value();
        }
        if (!any) return;
        if (!keys.starts_with('{')) {
            throw refuse(first, fmt::format("expected an object in the member {}", shape.member));
        }
    }
    for (json::Walk member(keys); member.next();) {
        take(json::unquoted(member.name()), json::compact(member.value()));
    }
}

}  // namespace larder::storage::checkpoint
