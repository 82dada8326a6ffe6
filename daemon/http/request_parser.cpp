// Lines are judged as they come in, so that a refusal never waits for the end of a head; the whole
// head then goes through Beast's parser, whose leniencies on_field mends. No answer is written
// here.
//
// Contents: lines · request line · fields (Beast) · target · framing.
#include "http/request_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "http/pch.hpp"

namespace larder::http {

namespace beast = boost::beast::http;

namespace {

constexpr unsigned kEmptyLines = 2;        // before a request line (RFC 9112 §2.2)
constexpr std::size_t kAroundTarget = 64;  // method and version beside the target

// Control bytes, space and DEL have no place in a target; bytes above ASCII are let through, since
// curl sends them as typed, and the router judges them.
bool is_target_byte(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20U && byte != 0x7FU && c != '#';
}

std::string quoted_byte(char c) {
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(c));
    return byte > 0x20U && byte < 0x7FU ? fmt::format("'{}'", c) : fmt::format("0x{:02x}", byte);
}

}  // namespace

std::optional<std::string_view> Head::field(std::string_view name) const noexcept {
    for (const Field& candidate : fields) {
        if (equals_ignoring_case(candidate.name, name)) return candidate.value;
    }
    return std::nullopt;
}

// ---- lines

void RequestParser::reset() noexcept {
    scanned_ = searched_ = start_ = fields_at_ = field_count_ = 0;
    empty_lines_ = 0;
    begun_ = done_ = false;
    keep_alive_ = true;
}

RequestParser::Verdict RequestParser::refuse(int status, std::string_view slug,
                                             std::string detail) {
    refusal_ = {status, std::string(slug), std::move(detail)};
    return Verdict::refused;
}

RequestParser::Verdict RequestParser::feed(std::string_view bytes, const HeadLimits& limits,
                                           Head& head) {
    while (!done_) {
        const Verdict verdict = scan_line(bytes, limits);
        if (verdict != Verdict::ready) return verdict;
    }
    return parse_fields(bytes, head);
}

// Moves over one whole line; bytes are judged in the order they arrive, so that it makes no
// difference how a head was cut into packets.
RequestParser::Verdict RequestParser::scan_line(std::string_view bytes, const HeadLimits& limits) {
    const bool in_fields = fields_at_ != 0;
    if (scanned_ < bytes.size() && searched_ == scanned_) {
        const char first = bytes[scanned_];
        if (!in_fields && !is_token_byte(first) && first != '\r' && first != '\n') {
            begun_ = true;
            if (first == '\x16') {
                return refuse(400, "bad-request",
                              "these are TLS bytes and this port speaks plain HTTP; use http://");
            }
            return refuse(
                400, "bad-request",
                fmt::format("a request begins with its method, not with {}", quoted_byte(first)));
        }
        if (in_fields && (first == ' ' || first == '\t')) {
            return refuse(400, "bad-request",
                          "a header line begins with white space; folded lines are not taken");
        }
        if (first != '\r' && first != '\n') begun_ = true;
    }
    const std::size_t limit =
        in_fields ? fields_at_ + limits.max_head : scanned_ + limits.max_target + kAroundTarget;
    const std::size_t end = std::min(bytes.size(), limit);
    for (; searched_ < end; ++searched_) {
        const char c = bytes[searched_];
        if (static_cast<unsigned char>(c) > '\r') continue;
        if (c == '\0') return refuse(400, "bad-request", "a NUL byte stands in the head");
        if (c == '\n') {
            return refuse(400, "bad-request", "a line ends in LF alone; lines end in CR LF");
        }
        if (c != '\r') continue;
        if (searched_ + 1 == bytes.size()) return Verdict::need_more;
        if (bytes[searched_ + 1] != '\n') {
            return refuse(400, "bad-request", "a CR stands alone in the head; lines end in CR LF");
        }
        return end_of_line(bytes, searched_, limits);
    }
    if (end < limit) return Verdict::need_more;
    if (in_fields) {
        return refuse(431, "headers-too-large",
                      fmt::format("the header section is longer than {} bytes", limits.max_head));
    }
    return refuse(414, "target-too-long",
                  fmt::format("the request line is longer than a target of {} bytes allows",
                              limits.max_target));
}

// `end`: where the line's CR LF stands.
RequestParser::Verdict RequestParser::end_of_line(std::string_view bytes, std::size_t end,
                                                  const HeadLimits& limits) {
    const std::string_view line = bytes.substr(scanned_, end - scanned_);
    scanned_ = searched_ = end + 2;
    if (fields_at_ != 0) {
        if (line.empty()) {
            done_ = true;
            return Verdict::ready;
        }
        if (++field_count_ > limits.max_fields) {
            return refuse(431, "headers-too-large",
                          fmt::format("there are more than {} header fields", limits.max_fields));
        }
        return Verdict::ready;
    }
    if (line.empty()) {
        if (++empty_lines_ > kEmptyLines) {
            return refuse(400, "bad-request", "there are too many empty lines before the request");
        }
        start_ = scanned_;
        return Verdict::ready;
    }
    fields_at_ = scanned_;
    return request_line(line, limits);
}

// ---- request line

RequestParser::Verdict RequestParser::request_line(std::string_view line,
                                                   const HeadLimits& limits) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
        return refuse(
            400, "bad-request",
            "the request line has no HTTP version; expected METHOD SP TARGET SP HTTP/1.1");
    }
    const std::string_view version = line.substr(last + 1);
    const bool formed = version.size() == 8 && version.starts_with("HTTP/") &&
                        is_decimal(version[5]) && version[6] == '.' && is_decimal(version[7]);
    if (!formed) {
        return refuse(400, "bad-request", "the request line does not end in an HTTP version");
    }
    if (!is_token(line.substr(0, first))) {
        return refuse(400, "bad-request", "the method is no token");
    }
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        return refuse(505, "http-version",
                      fmt::format("{} is not spoken here; use HTTP/1.1", version));
    }
    const std::string_view target = line.substr(first + 1, last - first - 1);
    if (target.size() > limits.max_target) {
        return refuse(414, "target-too-long",
                      fmt::format("the target has {} bytes; {} are allowed", target.size(),
                                  limits.max_target));
    }
    const auto* const bad = std::find_if_not(target.begin(), target.end(), is_target_byte);
    if (target.empty() || bad != target.end()) {
        return refuse(400, "bad-request",
                      target.empty() ? "the target is empty"
                                     : fmt::format("{} stands in the target; percent-encode it",
                                                   quoted_byte(*bad)));
    }
    return Verdict::ready;
}

// ---- fields

namespace {

// Beast hands out views into the head; what it lets through and two servers may read differently is
// refused here. Only heads are put to it: bodies never reach it.
class FieldReader final : public beast::basic_parser<true> {
public:
    explicit FieldReader(Head& head) : head_(head) {}

    bool keep_alive = true;
    bool has_host = false, has_transfer_encoding = false, has_expect = false;
    std::string_view host;
    std::string refusal;
    bool expectation_failed = false;

private:
    using Code = boost::beast::error_code;
    using View = boost::beast::string_view;

    static std::string_view view(View text) noexcept { return {text.data(), text.size()}; }
    void refuse(Code& code, std::string detail) {
        refusal = std::move(detail);
        code = beast::error::bad_field;
    }

    void on_request_impl(beast::verb, View method, View target, int version, Code&) override {
        head_.method = view(method);
        head_.target = view(target);
        head_.version = static_cast<unsigned>(version);
        keep_alive = version == 11;
    }

    void on_field_impl(beast::field field, View name, View value, Code& code) override {
        head_.fields.push_back({view(name), view(value)});
        switch (field) {
            case beast::field::host: on_host(view(value), code); break;
            case beast::field::content_length: on_length(view(value), code); break;
            case beast::field::transfer_encoding: on_coding(view(value), code); break;
            case beast::field::connection: on_connection(view(value)); break;
            case beast::field::expect: on_expect(view(value), code); break;
            default: break;
        }
    }

    void on_host(std::string_view value, Code& code) {
        if (has_host) return refuse(code, "there are two Host fields");
        has_host = true;
        host = value;
        if (!is_authority(value)) refuse(code, "the Host field is no host[:port]");
    }

    // Exactly 1*DIGIT, once: not "3, 3", not "+3", not twice even when equal (RFC 9112 §6.3).
    void on_length(std::string_view value, Code& code) {
        if (head_.content_length) return refuse(code, "there are two Content-Length fields");
        std::uint64_t length = 0;
        const bool digits = !value.empty() && std::all_of(value.begin(), value.end(), is_decimal);
        if (!digits || value.size() > 19 ||
            std::from_chars(value.data(), value.data() + value.size(), length).ec != std::errc{} ||
            length > static_cast<std::uint64_t>(INT64_MAX)) {
            return refuse(code, "the Content-Length is no length in bytes");
        }
        head_.content_length = length;
    }

    void on_coding(std::string_view value, Code& code) {
        if (has_transfer_encoding) return refuse(code, "there are two Transfer-Encoding fields");
        has_transfer_encoding = true;
        if (!equals_ignoring_case(value, "chunked")) {
            return refuse(code, "the Transfer-Encoding is not exactly \"chunked\"");
        }
        head_.chunked = true;
    }

    void on_connection(std::string_view value) {
        while (!value.empty()) {
            const std::size_t comma = value.find(',');
            const std::string_view option = trimmed(value.substr(0, comma));
            if (equals_ignoring_case(option, "close")) closes_ = true;
            if (equals_ignoring_case(option, "keep-alive")) keep_alive = true;
            value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
        }
        if (closes_) keep_alive = false;
    }

    void on_expect(std::string_view value, Code& code) {
        if (has_expect || !equals_ignoring_case(value, "100-continue")) {
            expectation_failed = true;
            return refuse(code, "the only Expect that is met here is 100-continue");
        }
        has_expect = true;
        head_.expects_continue = true;
    }

    void on_header_impl(Code&) override {}
    void on_response_impl(int, View, int, Code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(View, Code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, View, Code&) override { return 0; }
    void on_finish_impl(Code&) override {}

    Head& head_;
    bool closes_ = false;
};

std::string_view in_words(const boost::beast::error_code& code) noexcept {
    if (code == beast::error::bad_field) return "a header line has no well-formed name";
    if (code == beast::error::bad_value) return "a header value is malformed";
    if (code == beast::error::bad_content_length) return "the Content-Length is no length in bytes";
    if (code == beast::error::bad_transfer_encoding) {
        return "Content-Length and Transfer-Encoding exclude each other";
    }
    if (code == beast::error::bad_target) return "the target holds a byte that has no place there";
    return "the head is malformed";
}

}  // namespace

RequestParser::Verdict RequestParser::parse_fields(std::string_view bytes, Head& head) {
    head.fields.clear();
    head.content_length.reset();
    head.chunked = head.expects_continue = false;
    head.authority = {};

    FieldReader reader(head);
    reader.header_limit(static_cast<std::uint32_t>(scanned_ - start_ + 1));
    reader.body_limit(UINT64_MAX);
    boost::beast::error_code code;
    reader.put(boost::asio::const_buffer(bytes.data() + start_, scanned_ - start_), code);
    if (code) {
        if (reader.expectation_failed) return refuse(417, "expectation-failed", reader.refusal);
        return refuse(400, "bad-request",
                      reader.refusal.empty() ? std::string(in_words(code)) : reader.refusal);
    }
    if (!reader.is_header_done()) return refuse(400, "bad-request", "the head is malformed");
    if (!reader.has_host && head.version == 11) {
        return refuse(400, "bad-request", "an HTTP/1.1 request needs a Host field");
    }
    keep_alive_ = reader.keep_alive;
    head.authority = reader.host;
    const Verdict target = judge_target(head);
    return target == Verdict::ready ? judge_framing(head) : target;
}

// ---- target

RequestParser::Verdict RequestParser::judge_target(Head& head) {
    if (head.target.front() == '/') return Verdict::ready;
    if (head.target == "*") {
        if (head.method == "OPTIONS") return Verdict::ready;
        return refuse(400, "bad-request", "the target * is for OPTIONS alone");
    }
    std::size_t scheme = 0;
    if (equals_ignoring_case(head.target.substr(0, 7), "http://")) scheme = 7;
    if (equals_ignoring_case(head.target.substr(0, 8), "https://")) scheme = 8;
    if (scheme == 0 || head.method == "CONNECT") {
        return refuse(400, "bad-request",
                      "the target is neither a path nor an http or https address");
    }
    const std::string_view rest = head.target.substr(scheme);
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    if (!is_authority(rest.substr(0, end))) {
        return refuse(400, "bad-request", "the target's authority is no host[:port]");
    }
    head.authority = rest.substr(0, end);
    head.target = rest.substr(end);
    if (head.target.empty()) {
        head.target = "/";
    } else if (head.target.front() == '?') {
        rewritten_ = "/";
        rewritten_ += head.target;
        head.target = rewritten_;
    }
    return Verdict::ready;
}

// ---- framing

RequestParser::Verdict RequestParser::judge_framing(Head& head) {
    if (head.chunked && head.content_length) {
        return refuse(400, "bad-request",
                      "Content-Length and Transfer-Encoding exclude each other");
    }
    if (head.chunked && head.version == 10) {
        return refuse(400, "bad-request", "HTTP/1.0 knows no Transfer-Encoding");
    }
    if (head.version == 10) head.expects_continue = false;  // RFC 9110 §10.1.1: it is passed over
    return Verdict::ready;
}

}  // namespace larder::http
