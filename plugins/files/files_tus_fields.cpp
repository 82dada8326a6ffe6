#include "files_tus_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <utility>

#include "files_digest.hpp"
#include "storage-kit/encodings.hpp"

namespace larder::files::tus {
namespace {

constexpr std::size_t kMaxMetadata = 8U << 10U;
constexpr std::size_t kMaxParts = 1000;  // of a concatenation

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

std::string_view next_item(std::string_view& list, char separator) {
    const std::size_t end = std::min(list.find(separator), list.size());
    const std::string_view item = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    return item;
}

bool equals_ignoring_case(std::string_view a, std::string_view lower) {
    return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
        return x == y || (x >= 'A' && x <= 'Z' && (x | 0x20) == y);
    });
}

}  // namespace

Error invalid_upload(std::string detail) {
    return {Errc::bad_request, "invalid-upload", std::move(detail)};
}

void check_version(const Request& request) {
    if (request.header("Tus-Resumable").value_or("") == kVersion) return;
    throw Error(Errc::precondition_failed, "tus-version",
                fmt::format("Tus-Resumable must be {}", kVersion))
        .with_header("Tus-Version", std::string(kVersion));
}

std::optional<std::uint64_t> number_field(const Request& request, std::string_view name) {
    const auto text = request.header(name);
    if (!text) return std::nullopt;
    std::uint64_t value = 0;
    const char* const end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, value);
    const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (read.ec != std::errc() || read.ptr != end || !fits) {
        throw invalid_upload(fmt::format("{} is a number of bytes", name));
    }
    return value;
}

Metadata metadata_of(const Request& request) {
    Metadata metadata;
    metadata.raw = request.header("Upload-Metadata").value_or("");
    if (metadata.raw.size() > kMaxMetadata) {
        throw invalid_upload(fmt::format("Upload-Metadata may hold {} bytes", kMaxMetadata));
    }
    std::set<std::string, std::less<>> keys;
    std::string_view list = metadata.raw;
    while (!list.empty()) {
        const std::string_view item = next_item(list, ',');
        const std::size_t blank = std::min(item.find(' '), item.size());
        const std::string_view key = item.substr(0, blank);
        const auto value = storage::from_base64(trimmed(item.substr(blank)));
        if (key.empty() || !value || !keys.emplace(key).second) {
            throw invalid_upload("Upload-Metadata is keys, each once, with values in base64");
        }
        if (key == "filename" || (key == "name" && metadata.filename.empty())) {
            metadata.filename = *value;
        }
        if (key == "filetype" || (key == "type" && metadata.media_type.empty())) {
            metadata.media_type = *value;
        }
    }
    return metadata;
}

Concat concat_of(const Request& request) {
    Concat concat;
    const auto field = request.header("Upload-Concat");
    if (!field) return concat;
    concat.raw = *field;
    if (*field == "partial") {
        concat.partial = true;
        return concat;
    }
    constexpr std::string_view kFinal = "final;";
    if (!field->starts_with(kFinal)) {
        throw invalid_upload("Upload-Concat is partial, or final; and the partial uploads' URLs");
    }
    concat.final = true;
    std::string_view list = trimmed(field->substr(kFinal.size()));
    while (!list.empty()) {
        std::string_view url = next_item(list, ' ');
        if (url.empty()) continue;
        while (url.ends_with('/')) url.remove_suffix(1);
        concat.ids.emplace_back(url.substr(url.rfind('/') + 1));
    }
    if (concat.ids.empty() || concat.ids.size() > kMaxParts) {
        throw invalid_upload(fmt::format("a final upload is of 1 to {} partial ones", kMaxParts));
    }
    return concat;
}

Sum sum_of(std::string_view field) {
    field = trimmed(field);
    const std::size_t blank = std::min(field.find(' '), field.size());
    auto value = storage::from_base64(trimmed(field.substr(blank)));
    Sum sum{std::string(field.substr(0, blank)), value.value_or("")};
    const auto known = Checksum::of(sum.algorithm);
    if (!known) {
        throw invalid_upload(
            fmt::format("Upload-Checksum's algorithm is one of {}", kChecksumAlgorithms));
    }
    if (sum.value.size() != known->finish().size()) {
        throw invalid_upload("Upload-Checksum's value is a sum of its algorithm in base64");
    }
    return sum;
}

bool announces_trailer(const Request& request) {
    const auto field = request.header("Trailer");
    std::string_view list = field.value_or("");
    while (!list.empty()) {
        if (equals_ignoring_case(next_item(list, ','), "upload-checksum")) return true;
    }
    return false;
}

}  // namespace larder::files::tus
