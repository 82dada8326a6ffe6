// The delimiter is looked for with its CR LF in front, as RFC 2046 has it; the body is read as if
// one came before its first byte. Header parameters are read as browsers and curl write them.
#include "files_multipart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"

namespace larder::files {
namespace {

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

// `name=value` parameters of a header behind its first word, one at a time. Values in quotes may
// hold anything; a backslash takes itself and quotes out of their meaning, and no other character,
// since browsers send "C:\file" as it is.
class Parameters {
public:
    explicit Parameters(std::string_view rest) : rest_(rest) {}

    bool next() {
        rest_ = trimmed(rest_);
        while (rest_.starts_with(';')) rest_ = trimmed(rest_.substr(1));
        if (rest_.empty()) return false;
        const std::size_t end = std::min(rest_.find_first_of("=;"), rest_.size());
        name = trimmed(rest_.substr(0, end));
        rest_.remove_prefix(end);
        value.clear();
        if (!rest_.starts_with('=')) return true;
        rest_ = trimmed(rest_.substr(1));
        if (rest_.starts_with('"')) return take_quoted();
        const std::size_t stop = std::min(rest_.find(';'), rest_.size());
        value = trimmed(rest_.substr(0, stop));
        rest_.remove_prefix(stop);
        return true;
    }

    std::string_view name;
    std::string value;
    bool is_open = false;  // a quote was not closed

private:
    bool take_quoted() {
        std::size_t at = 1;
        for (; at < rest_.size() && rest_[at] != '"'; ++at) {
            const bool escape = rest_[at] == '\\' && at + 1 < rest_.size() &&
                                (rest_[at + 1] == '"' || rest_[at + 1] == '\\');
            if (escape) ++at;
            value += rest_[at];
        }
        is_open = at >= rest_.size();
        rest_.remove_prefix(std::min(at + 1, rest_.size()));
        return true;
    }

    std::string_view rest_;
};

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
                            hex_value(text[i + 2]) >= 0;
        if (escape) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

// What stands behind UTF-8'…' in a filename* (RFC 8187); nothing for another character set.
std::optional<std::string> extended_value(std::string_view text) {
    const std::size_t first = text.find('\'');
    const std::size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
    if (second == std::string_view::npos || !equals_ignoring_case(text.substr(0, first), "utf-8")) {
        return std::nullopt;
    }
    return percent_decoded(text.substr(second + 1));
}

// Empty where all is well, else what is wrong.
std::string_view read_disposition(std::string_view value, PartHead& head) {
    const std::size_t end = std::min(value.find(';'), value.size());
    if (!equals_ignoring_case(trimmed(value.substr(0, end)), "form-data")) {
        return "a part's Content-Disposition is not form-data";
    }
    bool has_name = false;
    std::optional<std::string> extended;
    Parameters parameters(value.substr(end));
    while (parameters.next()) {
        if (parameters.is_open) return "a quote in a part's Content-Disposition is not closed";
        if (equals_ignoring_case(parameters.name, "name")) {
            head.name = parameters.value;
            has_name = true;
        } else if (equals_ignoring_case(parameters.name, "filename")) {
            head.filename = parameters.value;
        } else if (equals_ignoring_case(parameters.name, "filename*")) {
            extended = extended_value(parameters.value);
        }
    }
    if (extended) head.filename = std::move(extended);
    return has_name ? std::string_view() : "a part's Content-Disposition has no name";
}

Error invalid(std::string_view reason) {
    return std::move(Error(Errc::bad_request, "invalid-multipart",
                           fmt::format("the body is no multipart/form-data: {}", reason))
                         .with("reason", storage::json::quoted(reason)));
}

}  // namespace

MultipartReader::MultipartReader(std::string_view boundary, Listener& listener)
    : delimiter_(fmt::format("\r\n--{}", boundary)), listener_(listener), buffer_("\r\n") {}

void MultipartReader::refuse(std::string_view reason) const {
    throw std::move(invalid(reason).with("offset", std::to_string(offset_)));
}

void MultipartReader::take(std::size_t count) {
    at_ += count;
    offset_ += count;
}

void MultipartReader::push(std::string_view bytes) {
    // The two bytes that the body did not have are not counted.
    buffer_.erase(0, at_);
    at_ = 0;
    buffer_ += bytes;
    while (step()) {
    }
}

bool MultipartReader::step() {
    switch (state_) {
        case State::preamble: return skip_preamble();
        case State::after_delimiter: return read_after_delimiter();
        case State::head: return read_head();
        case State::body_begin: return begin_body();
        case State::body: return read_body();
        case State::epilogue: take(buffer_.size() - at_); return false;
    }
    return false;
}

bool MultipartReader::skip_preamble() {
    const std::size_t found = buffer_.find(delimiter_, at_);
    if (found != std::string::npos) {
        take(found - at_ + delimiter_.size());
        offset_ -= 2;
        state_ = State::after_delimiter;
        return true;
    }
    if (offset_ + buffer_.size() - at_ > kMaxPreamble) refuse("its first delimiter does not come");
    const std::size_t keep = std::min(buffer_.size() - at_, delimiter_.size() - 1);
    take(buffer_.size() - at_ - keep);
    return false;
}

bool MultipartReader::read_after_delimiter() {
    constexpr std::size_t kMaxPadding = 256;
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    if (rest.size() < 2) return false;
    if (rest.starts_with("--")) {
        take(2);
        state_ = State::epilogue;
        return true;
    }
    const std::size_t end = rest.find_first_not_of(" \t");
    if (std::min(end, rest.size()) > kMaxPadding) refuse("a delimiter's line does not end");
    if (end == std::string_view::npos || end + 2 > rest.size()) return false;
    if (rest.substr(end, 2) != "\r\n") refuse("something follows a delimiter on its line");
    if (++parts_ > kMaxParts) refuse(fmt::format("it has more than {} parts", kMaxParts));
    // The line's end stays: a part without headers has its empty line right behind it.
    take(end);
    state_ = State::head;
    return true;
}

bool MultipartReader::read_head() {
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    const std::size_t end = rest.find("\r\n\r\n");
    if (std::min(end, rest.size()) > kMaxHead) refuse("a part's header section is too long");
    if (end == std::string_view::npos) return false;
    PartHead head;
    bool has_disposition = false;
    std::string_view lines = rest.substr(2, end < 2 ? 0 : end - 2);
    while (!lines.empty()) {
        const std::size_t stop = std::min(lines.find("\r\n"), lines.size());
        const std::string_view line = lines.substr(0, stop);
        lines.remove_prefix(std::min(stop + 2, lines.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0) refuse("a part's header has no name");
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (equals_ignoring_case(line.substr(0, colon), "content-type")) head.content_type = value;
        if (!equals_ignoring_case(line.substr(0, colon), "content-disposition")) continue;
        if (std::exchange(has_disposition, true)) refuse("a part has two Content-Dispositions");
        const std::string_view wrong = read_disposition(value, head);
        if (!wrong.empty()) refuse(wrong);
    }
    if (!has_disposition) refuse("a part has no Content-Disposition");
    // The empty line stays: the CR LF of an empty part's delimiter may be the same.
    take(end + 2);
    state_ = State::body_begin;
    listener_.begin_part(std::move(head));
    return true;
}

bool MultipartReader::begin_body() {
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    if (rest.starts_with(delimiter_)) {
        state_ = State::body;
        return true;
    }
    if (std::string_view(delimiter_).starts_with(rest)) return false;
    take(2);
    state_ = State::body;
    return true;
}

bool MultipartReader::read_body() {
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    const std::size_t found = rest.find(delimiter_);
    if (found != std::string_view::npos) {
        if (found > 0) listener_.part_bytes(rest.substr(0, found));
        take(found + delimiter_.size());
        state_ = State::after_delimiter;
        listener_.end_part();
        return true;
    }
    // The end may be the beginning of a delimiter.
    const std::size_t tail = rest.size() - std::min(rest.size(), delimiter_.size() - 1);
    const std::size_t ready = std::min(rest.find('\r', tail), rest.size());
    if (ready > 0) listener_.part_bytes(rest.substr(0, ready));
    take(ready);
    return false;
}

void MultipartReader::finish() const {
    if (state_ == State::epilogue) return;
    throw std::move(
        invalid("it ends before its last delimiter").with("offset", std::to_string(offset_)));
}

std::string boundary_of(std::string_view content_type) {
    const std::size_t end = std::min(content_type.find(';'), content_type.size());
    if (!equals_ignoring_case(trimmed(content_type.substr(0, end)), "multipart/form-data")) {
        throw Error(Errc::unsupported_media, "unsupported-media-type",
                    "this route takes multipart/form-data");
    }
    constexpr std::size_t kMaxBoundary = 70;
    Parameters parameters(content_type.substr(end));
    while (parameters.next()) {
        if (!equals_ignoring_case(parameters.name, "boundary")) continue;
        const std::string& boundary = parameters.value;
        const bool printable = std::all_of(boundary.begin(), boundary.end(),
                                           [](char c) { return c >= 0x20 && c < 0x7F; });
        if (boundary.empty() || boundary.size() > kMaxBoundary || !printable ||
            boundary.back() == ' ') {
            throw invalid("its boundary is not 1 to 70 printable characters");
        }
        return boundary;
    }
    throw invalid("its Content-Type names no boundary");
}

}  // namespace larder::files
