// The directory alone says what is in an archive; local headers are only held against it. So no
// two readers of one archive can be shown different things.
//
//   judging one entry     names, kinds
//   the directory         found, read, judged as a whole
//   unpacking
#include "zip_reader.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

constexpr std::uint32_t kLocal = 0x04034B50, kCentral = 0x02014B50, kEnd = 0x06054B50,
                        kEnd64 = 0x06064B50, kEnd64Locator = 0x07064B50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                      kLocatorBytes = 20, kMostComment = 65535;
constexpr std::uint64_t kMostDirectory = 8U << 20U;
constexpr std::uint16_t kStored = 0, kDeflated = 8;
constexpr std::uint16_t kEncrypted = 1, kStrongEncryption = 1U << 6U, kMasked = 1U << 13U;
constexpr std::uint16_t kWide = 0xFFFF;
constexpr std::uint32_t kWide32 = 0xFFFFFFFF;
constexpr std::size_t kBlock = 64U << 10U;

template <class Number> Number take(std::string_view text, std::size_t at) {
    if (at + sizeof(Number) > text.size()) throw invalid_archive("it is cut short");
    Number value = 0;
    for (std::size_t i = sizeof(Number); i-- > 0;) {
        value = static_cast<Number>((value << 8U) | static_cast<unsigned char>(text[at + i]));
    }
    return value;
}
std::uint16_t u16(std::string_view text, std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(text[at]) |
                                      (static_cast<unsigned char>(text[at + 1]) << 8U));
}

// ---- judging one entry

void judge_path(const ZipEntry& entry, const ZipLimits& limits) {
    const std::string& path = entry.path;
    const auto refuse = [](const char* why) { throw invalid_archive(why); };
    if (path.empty()) refuse("an entry has no name");
    if (path.size() > limits.name) refuse("a name is too long");
    if (storage::json::invalid_utf8(path) != std::string::npos) refuse("a name is no UTF-8");
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) refuse("a name has a control character");
        if (c == '\\') refuse("a name has a backslash");
    }
    if (path.front() == '/' || (path.size() > 1 && path[1] == ':')) refuse("a name is absolute");
    std::size_t depth = 0;
    for (std::size_t at = 0; at <= path.size(); ++depth) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part = std::string_view(path).substr(at, end - at);
        if (part.empty() || part == "." || part == "..") refuse("a name leads out of its folder");
        at = end + 1;
    }
    if (depth > limits.depth) refuse("its folders are too deep");
    if (path == ".metadata.json") refuse("the name .metadata.json is the store's own");
}

// Of the upper 16 bits, where a Unix made the archive: regular files and folders alone.
void judge_kind(std::uint16_t made_by, std::uint32_t attributes) {
    constexpr unsigned kUnix = 3, kDarwin = 19;
    constexpr std::uint32_t kKind = 0170000, kRegular = 0100000, kFolder = 0040000;
    const unsigned system = made_by >> 8U;
    if (system != kUnix && system != kDarwin) return;
    const std::uint32_t kind = (attributes >> 16U) & kKind;
    if (kind == 0 || kind == kRegular || kind == kFolder) return;
    throw invalid_archive("it holds a link or a device");
}

// Sizes and places that do not fit into 32 bits stand in an extra field, those alone, in order.
void read_wide(std::string_view extra, ZipEntry& entry) {
    while (extra.size() >= 4) {
        const std::uint16_t id = u16(extra, 0), length = u16(extra, 2);
        if (length > extra.size() - 4) throw invalid_archive("an extra field is cut short");
        std::string_view field = extra.substr(4, length);
        extra.remove_prefix(4U + length);
        if (id != 1) continue;
        for (std::uint64_t* const value : {&entry.size, &entry.packed, &entry.at}) {
            if (*value != kWide32) continue;
            *value = take<std::uint64_t>(field, 0);
            field.remove_prefix(8);
        }
        return;
    }
}

std::string folded(std::string_view path) {
    std::string text(path);
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return text;
}

}  // namespace

Error invalid_archive(const std::string& reason) {
    return std::move(Error(Errc::unprocessable, "invalid-archive",
                           fmt::format("the archive is not taken: {}", reason))
                         .with("reason", storage::json::quoted(reason)));
}

// ---- the directory

ZipReader::ZipReader(std::uint64_t size, Read read, const ZipLimits& limits)
    : size_(size), read_(std::move(read)), limits_(limits) {
    const Directory directory = find_directory();
    if (directory.entries > limits_.entries) {
        throw invalid_archive(fmt::format("it has more than {} entries", limits_.entries));
    }
    read_directory(directory);
    judge_names();
    judge_places(directory);
}

std::string ZipReader::read_text(std::uint64_t at, std::uint64_t size) const {
    if (at > size_ || size > size_ - at) throw invalid_archive("it is cut short");
    std::string text(size, '\0');
    if (size > 0) read_(at, text.size(), text.data());
    return text;
}

ZipReader::Directory ZipReader::find_directory() const {
    const std::uint64_t length = std::min<std::uint64_t>(size_, kEndBytes + kMostComment);
    const std::string tail = read_text(size_ - length, length);
    std::size_t at = std::string::npos;
    // The last record whose comment ends with the file: no other can be the one.
    for (std::size_t i = tail.size() < kEndBytes ? 0 : tail.size() - kEndBytes + 1; i-- > 0;) {
        if (take<std::uint32_t>(tail, i) != kEnd) continue;
        if (i + kEndBytes + u16(tail, i + 20) != tail.size()) continue;
        at = i;
        break;
    }
    if (at == std::string::npos) throw invalid_archive("it is no ZIP archive, or cut short");
    const std::uint64_t end_at = size_ - length + at;
    Directory found{take<std::uint32_t>(tail, at + 16), take<std::uint32_t>(tail, at + 12),
                    u16(tail, at + 10)};
    std::uint64_t behind = end_at;
    if (u16(tail, at + 4) != u16(tail, at + 6) || u16(tail, at + 8) != u16(tail, at + 10)) {
        throw invalid_archive("it is of several disks");
    }
    const bool is_wide = found.at == kWide32 || found.size == kWide32 || found.entries == kWide;
    if (is_wide && end_at >= kLocatorBytes) {
        const std::string locator = read_text(end_at - kLocatorBytes, kLocatorBytes);
        if (take<std::uint32_t>(locator, 0) == kEnd64Locator) {
            behind = take<std::uint64_t>(locator, 8);
            const std::string wide = read_text(behind, kEnd64Bytes);
            if (take<std::uint32_t>(wide, 0) != kEnd64) throw invalid_archive("it is damaged");
            found = {take<std::uint64_t>(wide, 48), take<std::uint64_t>(wide, 40),
                     take<std::uint64_t>(wide, 32)};
        }
    }
    if (found.size > kMostDirectory) throw invalid_archive("its directory is too long");
    // Right behind the entries and right before its end: nothing is hidden in between.
    if (found.at > size_ || found.size > size_ - found.at || found.at + found.size != behind) {
        throw invalid_archive("its directory is not where it should be");
    }
    return found;
}

void ZipReader::read_directory(const Directory& directory) {
    const std::string text = read_text(directory.at, directory.size);
    std::size_t at = 0;
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < directory.entries; ++i) {
        if (text.size() - at < kCentralBytes || take<std::uint32_t>(text, at) != kCentral) {
            throw invalid_archive("its directory is damaged");
        }
        const std::string_view head = std::string_view(text).substr(at);
        const std::uint16_t flags = u16(head, 8);
        const std::size_t name = u16(head, 28), extra = u16(head, 30), comment = u16(head, 32);
        if (head.size() < kCentralBytes + name + extra + comment) {
            throw invalid_archive("its directory is damaged");
        }
        ZipEntry entry;
        entry.method = u16(head, 10);
        entry.crc = take<std::uint32_t>(head, 16);
        entry.packed = take<std::uint32_t>(head, 20);
        entry.size = take<std::uint32_t>(head, 24);
        entry.at = take<std::uint32_t>(head, 42);
        entry.path = head.substr(kCentralBytes, name);
        if ((flags & (kEncrypted | kStrongEncryption | kMasked)) != 0) {
            throw invalid_archive("it is encrypted");
        }
        read_wide(head.substr(kCentralBytes + name, extra), entry);
        judge_kind(u16(head, 4), take<std::uint32_t>(head, 38));
        if (entry.path.ends_with('/')) {
            entry.is_folder = true;
            entry.path.pop_back();
            if (entry.size != 0) throw invalid_archive("a folder has bytes");
        }
        judge_path(entry, limits_);
        if (entry.method != kStored && entry.method != kDeflated) {
            throw invalid_archive("it is packed by a method other than stored and deflated");
        }
        if (entry.method == kStored && entry.packed != entry.size) {
            throw invalid_archive("a stored entry has two sizes");
        }
        if (entry.size > limits_.file) {
            throw invalid_archive(fmt::format("a file is larger than {} bytes", limits_.file));
        }
        total += entry.size;
        if (total > limits_.total) {
            throw invalid_archive(fmt::format("it unpacks to more than {} bytes", limits_.total));
        }
        if (entry.size > limits_.ratio_from && entry.size / limits_.ratio > entry.packed) {
            throw invalid_archive("it is packed too well to be true");
        }
        entries_.push_back(std::move(entry));
        at += kCentralBytes + name + extra + comment;
    }
    if (at != text.size()) throw invalid_archive("its directory is damaged");
}

// No name twice, also where case does not count; no file where another's folder is.
void ZipReader::judge_names() const {
    std::set<std::string> files, folders, named;
    std::set<std::pair<std::string, std::string>> spelled;  // folded folder, as it is written
    for (const ZipEntry& entry : entries_) {
        const std::string name = folded(entry.path);
        if (!named.insert(name).second) throw invalid_archive("a name occurs twice");
        (entry.is_folder ? folders : files).insert(name);
        for (std::size_t at = name.find('/'); at != std::string::npos;
             at = name.find('/', at + 1)) {
            folders.insert(name.substr(0, at));
            spelled.emplace(name.substr(0, at), entry.path.substr(0, at));
        }
        if (entry.is_folder) spelled.emplace(name, entry.path);
    }
    for (const std::string& file : files) {
        if (folders.contains(file)) throw invalid_archive("a name is a file and a folder");
    }
    const std::string* before = nullptr;
    for (const auto& [name, as_written] : spelled) {
        if (before != nullptr && *before == name) {
            throw invalid_archive("two folders differ by case alone");
        }
        before = &name;
    }
}

// Each entry's bytes are its own, and lie before the directory.
void ZipReader::judge_places(const Directory& directory) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
    for (const ZipEntry& entry : entries_) {
        const std::string head = read_text(entry.at, kLocalBytes);
        if (take<std::uint32_t>(head, 0) != kLocal) throw invalid_archive("an entry is damaged");
        const std::size_t name = u16(head, 26), extra = u16(head, 28);
        const std::uint64_t at = entry.at + kLocalBytes + name + extra;
        const std::string local_name = read_text(entry.at + kLocalBytes, name);
        const std::string wanted = entry.path + (entry.is_folder ? "/" : "");
        if (local_name != wanted || u16(head, 8) != entry.method ||
            (u16(head, 6) & (kEncrypted | kStrongEncryption | kMasked)) != 0) {
            throw invalid_archive("an entry is not what the directory says");
        }
        if (at > directory.at || entry.packed > directory.at - at) {
            throw invalid_archive("an entry lies beyond the directory");
        }
        data_at_.push_back(at);
        spans.emplace_back(entry.at, at + entry.packed);
    }
    std::sort(spans.begin(), spans.end());
    for (std::size_t i = 1; i < spans.size(); ++i) {
        if (spans[i].first < spans[i - 1].second) throw invalid_archive("entries overlap");
    }
}

// ---- unpacking

void ZipReader::unpack(const ZipEntry& entry, const std::function<void(std::string_view)>& take) {
    const auto index = static_cast<std::size_t>(&entry - entries_.data());
    std::uint64_t size = 0;
    uLong crc = ::crc32(0, nullptr, 0);
    const auto counted = [&](std::string_view bytes) {
        size += bytes.size();
        unpacked_ += bytes.size();
        if (size > entry.size) throw invalid_archive("an entry is longer than it says");
        if (size > limits_.file || unpacked_ > limits_.total ||
            (size > limits_.ratio_from && size / limits_.ratio > entry.packed)) {
            throw invalid_archive("it unpacks to more than is allowed");
        }
        crc = ::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()),
                      static_cast<uInt>(bytes.size()));
        take(bytes);
    };
    const std::uint64_t at = data_at_.at(index);
    if (entry.method == kDeflated) {
        inflate_entry(entry, at, counted);
    } else {
        std::string block;
        for (std::uint64_t done = 0; done < entry.packed; done += block.size()) {
            block = read_text(at + done, std::min<std::uint64_t>(kBlock, entry.packed - done));
            counted(block);
        }
    }
    if (size != entry.size) throw invalid_archive("an entry is shorter than it says");
    if (crc != entry.crc) throw invalid_archive("an entry's bytes are not those of its checksum");
}

void ZipReader::inflate_entry(const ZipEntry& entry, std::uint64_t at,
                              const std::function<void(std::string_view)>& take) {
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        throw Error(Errc::internal, "internal", "no memory to unpack with");
    }
    const std::unique_ptr<z_stream, int (*)(z_stream*)> ended(&stream, ::inflateEnd);
    std::string in, out(kBlock, '\0');
    std::uint64_t done = 0;
    for (int state = Z_OK; state != Z_STREAM_END;) {
        if (stream.avail_in == 0 && done < entry.packed) {
            in = read_text(at + done, std::min<std::uint64_t>(kBlock, entry.packed - done));
            done += in.size();
            stream.next_in = reinterpret_cast<Bytef*>(in.data());
            stream.avail_in = static_cast<uInt>(in.size());
        }
        stream.next_out = reinterpret_cast<Bytef*>(out.data());
        stream.avail_out = static_cast<uInt>(out.size());
        state = ::inflate(&stream, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END) throw invalid_archive("an entry is damaged");
        const std::string_view bytes(out.data(), out.size() - stream.avail_out);
        if (!bytes.empty()) take(bytes);
        const bool stuck = bytes.empty() && stream.avail_in == 0 && done >= entry.packed;
        if (stuck && state != Z_STREAM_END) throw invalid_archive("an entry is cut short");
    }
    if (stream.avail_in != 0 || done != entry.packed) {
        throw invalid_archive("an entry is shorter than it says");
    }
}

}  // namespace larder::programs
