// Request heads and chunked bodies as tables: what is taken, what is refused and as what; each row
// also byte by byte, since a verdict may not depend on how packets were cut. No sockets.
#include "http/request_parser.hpp"

#include <vector>

#include "http/chunk_decoder.hpp"
#include "support/suite.hpp"

namespace {

using namespace larder::http;
using namespace std::string_literals;

struct HeadRow {
    const char* what;
    std::string bytes;
    int status;  // 0: taken; -1: more is wanted
};

const std::string kHost = "Host: a\r\n";

std::string get(const std::string& fields) { return "GET / HTTP/1.1\r\n" + fields + "\r\n"; }
std::string with_host(const std::string& fields) { return get(kHost + fields); }
std::string target(const std::string& text) {
    return "GET " + text + " HTTP/1.1\r\n" + kHost + "\r\n";
}
std::string repeated(std::size_t count, const std::string& line) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += line;
    return out;
}

const std::vector<HeadRow>& head_rows() {
    static const std::vector<HeadRow> rows{
        // taken
        {"the simplest", with_host(""), 0},
        {"one empty line before", "\r\n" + with_host(""), 0},
        {"two empty lines before", "\r\n\r\n" + with_host(""), 0},
        {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0},
        {"HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", 0},
        {"any token is a method", "M-SEARCH! / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"length zero", with_host("Content-Length: 0\r\n"), 0},
        {"length with white space around", with_host("Content-Length: \t 5 \r\n"), 0},
        {"length with leading zeros", with_host("Content-Length: 0005\r\n"), 0},
        {"the longest length", with_host("Content-Length: 9223372036854775807\r\n"), 0},
        {"chunked", with_host("Transfer-Encoding: chunked\r\n"), 0},
        {"chunked in capitals", with_host("transfer-encoding: CHUNKED\r\n"), 0},
        {"expect", with_host("Expect: 100-Continue\r\nContent-Length: 1\r\n"), 0},
        {"empty value", with_host("X-Empty:\r\n"), 0},
        {"value with tab and high bytes", with_host("X: a\tb \xC3\xA9\r\n"), 0},
        {"no space after the colon", get("Host:a\r\n"), 0},
        {"host with port", get("Host: example.org:8080\r\n"), 0},
        {"host with empty port", get("Host: example.org:\r\n"), 0},
        {"host is IPv4", get("Host: 127.0.0.1:80\r\n"), 0},
        {"host is IPv6", get("Host: [::1]:80\r\n"), 0},
        {"host is percent-encoded", get("Host: a%20b\r\n"), 0},
        {"absolute form", target("http://b/c?d"), 0},
        {"absolute form without a path", target("http://b"), 0},
        {"absolute form with a query only", target("http://b?q"), 0},
        {"absolute form, https", target("HTTPS://b:443/"), 0},
        {"asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"query with odd characters", target("/a?b=[]{}|\\^\"<>"), 0},
        {"high bytes in the target", target("/\xD0\xBA"), 0},
        {"100 fields", get(kHost + repeated(99, "X: y\r\n")), 0},
        {"a target of 8192 bytes", target("/" + std::string(8191, 'a')), 0},
        {"a head of nearly 32 KiB", with_host("X: " + std::string(32000, 'a') + "\r\n"), 0},
        {"the same unknown field twice", with_host("X: 1\r\nX: 2\r\n"), 0},
        // not whole yet
        {"nothing", "", -1},
        {"an empty line", "\r\n", -1},
        {"a CR", "\r", -1},
        {"half a method", "GE", -1},
        {"no end of the fields", "GET / HTTP/1.1\r\nHost: a\r\n", -1},
        {"no last LF", "GET / HTTP/1.1\r\nHost: a\r\n\r", -1},
        // request line
        {"three empty lines before", "\r\n\r\n\r\n" + with_host(""), 400},
        {"TLS bytes", "\x16\x03\x01\x02"s, 400},
        {"a space first", " GET / HTTP/1.1\r\n\r\n", 400},
        {"HTTP/0.9", "GET /\r\n", 400},
        {"no target", "GET HTTP/1.1\r\n\r\n", 400},
        {"two spaces before the target", "GET  / HTTP/1.1\r\n" + kHost + "\r\n", 400},
        {"two spaces before the version", "GET /  HTTP/1.1\r\n" + kHost + "\r\n", 400},
        {"a space in the target", target("/a b"), 400},
        {"a tab in the target", target("/a\tb"), 400},
        {"a control byte in the target", target("/a\x01"), 400},
        {"DEL in the target", target("/a\x7f"), 400},
        {"a fragment", target("/a#b"), 400},
        {"a method that is no token", "GE(T / HTTP/1.1\r\n" + kHost + "\r\n", 400},
        {"white space after the version", "GET / HTTP/1.1 \r\n" + kHost + "\r\n", 400},
        {"lower-case version", "GET / http/1.1\r\n" + kHost + "\r\n", 400},
        {"a version of two digits", "GET / HTTP/1.10\r\n" + kHost + "\r\n", 400},
        {"a version without minor", "GET / HTTP/1\r\n" + kHost + "\r\n", 400},
        {"HTTP/2.0", "GET / HTTP/2.0\r\n" + kHost + "\r\n", 505},
        {"HTTP/3.0", "GET / HTTP/3.0\r\n" + kHost + "\r\n", 505},
        {"HTTP/1.2", "GET / HTTP/1.2\r\n" + kHost + "\r\n", 505},
        {"HTTP/0.9 by name", "GET / HTTP/0.9\r\n\r\n", 505},
        {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"a target too long", target("/" + std::string(8192, 'a')), 414},
        {"a request line without end", "GET /" + std::string(9000, 'a'), 414},
        {"CONNECT", "CONNECT a:443 HTTP/1.1\r\n" + kHost + "\r\n", 400},
        {"CONNECT to an address", "CONNECT http://a/ HTTP/1.1\r\n" + kHost + "\r\n", 400},
        {"authority form", target("a:80"), 400},
        {"asterisk for GET", target("*"), 400},
        {"a relative path", target("a/b"), 400},
        {"another scheme", target("ftp://a/"), 400},
        {"user information", target("http://u:p@a/"), 400},
        {"an absolute form without host", target("http:///a"), 400},
        // lines
        {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
        {"bare LF in a value", with_host("X: a\nb\r\n"), 400},
        {"bare LFs alone", "GET / HTTP/1.1\nHost: a\n\n", 400},
        {"a LF before the request", "\n" + with_host(""), 400},
        {"bare CR in the request line", "GET /\rX HTTP/1.1\r\n", 400},
        {"bare CR in a value", with_host("X: a\rb\r\n"), 400},
        {"CR CR LF", with_host("X: a\r\r\n"), 400},
        {"NUL in the target", target("/a\0b"s), 400},
        {"NUL in a value", with_host("X: a\0b\r\n"s), 400},
        {"NUL in a name", with_host("X\0: a\r\n"s), 400},
        {"a control byte in a value", with_host("X: a\x01\r\n"), 400},
        {"DEL in a value", with_host("X: a\x7f\r\n"), 400},
        {"obs-fold with a space", with_host("X: a\r\n b\r\n"), 400},
        {"obs-fold with a tab", with_host("X: a\r\n\tb\r\n"), 400},
        {"white space before the first field", get(" X: a\r\n" + kHost), 400},
        {"a space before the colon", get("Host : a\r\n"), 400},
        {"a tab before the colon", get("Host\t: a\r\n"), 400},
        {"an empty name", with_host(": a\r\n"), 400},
        {"no colon", with_host("nonsense\r\n"), 400},
        {"a name that is no token", with_host("a/b: c\r\n"), 400},
        {"a name with high bytes", with_host("\xC3\xA9: c\r\n"), 400},
        {"101 fields", get(kHost + repeated(100, "X: y\r\n")), 431},
        {"a head over 32 KiB", with_host("X: " + std::string(33000, 'a') + "\r\n"), 431},
        {"a head over 32 KiB without end", "GET / HTTP/1.1\r\nX: " + std::string(40000, 'a'), 431},
        // Host
        {"no Host under 1.1", get(""), 400},
        {"two Hosts", get("Host: a\r\nHost: a\r\n"), 400},
        {"two Hosts under 1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400},
        {"an empty Host", get("Host:\r\n"), 400},
        {"a Host with a path", get("Host: a/b\r\n"), 400},
        {"a Host with user information", get("Host: u@a\r\n"), 400},
        {"a Host list", get("Host: a b\r\n"), 400},
        {"a port that is no number", get("Host: a:b\r\n"), 400},
        {"a port too large", get("Host: a:65536\r\n"), 400},
        {"a bare IPv6 Host", get("Host: ::1\r\n"), 400},
        {"an open bracket", get("Host: [::1\r\n"), 400},
        {"a Host beside an absolute form is still judged",
         "GET http://b/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"an absolute form needs a Host", "GET http://b/ HTTP/1.1\r\n\r\n", 400},
        // lengths
        {"two lengths", with_host("Content-Length: 3\r\nContent-Length: 4\r\n"), 400},
        {"two equal lengths", with_host("Content-Length: 3\r\nContent-Length: 3\r\n"), 400},
        {"a list of lengths", with_host("Content-Length: 3, 3\r\n"), 400},
        {"a plus", with_host("Content-Length: +3\r\n"), 400},
        {"a minus", with_host("Content-Length: -1\r\n"), 400},
        {"hexadecimal", with_host("Content-Length: 0x3\r\n"), 400},
        {"an empty length", with_host("Content-Length:\r\n"), 400},
        {"a fraction", with_host("Content-Length: 3.0\r\n"), 400},
        {"a space within", with_host("Content-Length: 3 3\r\n"), 400},
        {"overflow", with_host("Content-Length: 9223372036854775808\r\n"), 400},
        {"20 digits", with_host("Content-Length: 00000000000000000003\r\n"), 400},
        {"far too many digits", with_host("Content-Length: " + std::string(40, '9') + "\r\n"), 400},
        // Transfer-Encoding
        {"length, then chunked", with_host("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
         400},
        {"chunked, then length", with_host("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
         400},
        {"xchunked", with_host("Transfer-Encoding: xchunked\r\n"), 400},
        {"identity", with_host("Transfer-Encoding: identity\r\n"), 400},
        {"gzip, chunked", with_host("Transfer-Encoding: gzip, chunked\r\n"), 400},
        {"chunked, identity", with_host("Transfer-Encoding: chunked, identity\r\n"), 400},
        {"chunked, chunked", with_host("Transfer-Encoding: chunked, chunked\r\n"), 400},
        {"chunked twice", with_host("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
         400},
        {"chunked with a parameter", with_host("Transfer-Encoding: chunked;q=1\r\n"), 400},
        {"quoted chunked", with_host("Transfer-Encoding: \"chunked\"\r\n"), 400},
        {"an empty coding", with_host("Transfer-Encoding:\r\n"), 400},
        {"a vertical tab", with_host("Transfer-Encoding: \vchunked\r\n"), 400},
        {"chunked under 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        // Expect
        {"another expectation", with_host("Expect: 200-ok\r\n"), 417},
        {"an empty expectation", with_host("Expect:\r\n"), 417},
    };
    return rows;
}

struct ChunkRow {
    const char* what;
    std::string bytes;
    int status;  // 0: whole; -1: more is wanted
    std::string body;
    std::string rest;
};

const std::vector<ChunkRow>& chunk_rows() {
    static const std::vector<ChunkRow> rows{
        {"empty", "0\r\n\r\n", 0, "", ""},
        {"one", "3\r\nabc\r\n0\r\n\r\n", 0, "abc", ""},
        {"two", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 0, "abcde", ""},
        {"hex digits of both cases", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", 0,
         "01234567890123456789a", ""},
        {"leading zeros", "0003\r\nabc\r\n000\r\n\r\n", 0, "abc", ""},
        {"16 digits", "0000000000000003\r\nabc\r\n0\r\n\r\n", 0, "abc", ""},
        {"CR LF is data, too", "4\r\n\r\n\r\n\r\n0\r\n\r\n", 0, "\r\n\r\n", ""},
        {"what follows is left alone", "1\r\na\r\n0\r\n\r\nGET / HTTP", 0, "a", "GET / HTTP"},
        {"an extension", "3;x=y\r\nabc\r\n0;z\r\n\r\n", 0, "abc", ""},
        {"a quoted extension", "3;x=\"a b\"\r\nabc\r\n0\r\n\r\n", 0, "abc", ""},
        {"trailers", "1\r\na\r\n0\r\nX-Sum: 7\r\nY:\r\n\r\n", 0, "a", ""},
        {"nothing", "", -1, "", ""},
        {"half a size", "3", -1, "", ""},
        {"half a chunk", "3\r\nab", -1, "ab", ""},
        {"no last line", "3\r\nabc\r\n0\r\n", -1, "abc", ""},
        {"an empty size", "\r\nabc\r\n", 400, "", ""},
        {"a sign", "+3\r\nabc\r\n0\r\n\r\n", 400, "", ""},
        {"a minus", "-3\r\nabc\r\n0\r\n\r\n", 400, "", ""},
        {"0x", "0x3\r\nabc\r\n0\r\n\r\n", 400, "", ""},
        {"no hex digit", "g\r\n", 400, "", ""},
        {"17 digits", "00000000000000003\r\nabc\r\n", 400, "", ""},
        {"overflow", "ffffffffffffffff\r\n", 400, "", ""},
        {"just beyond 63 bits", "8000000000000000\r\n", 400, "", ""},
        {"a space before the size", " 3\r\nabc\r\n", 400, "", ""},
        {"a space behind the size", "3 \r\nabc\r\n", 400, "", ""},
        {"a space before the extension", "3 ;x\r\nabc\r\n", 400, "", ""},
        {"bare LF behind the size", "3\nabc\r\n", 400, "", ""},
        {"bare CR behind the size", "3\rabc\r\n", 400, "", ""},
        {"bare LF in an extension", "3;a\nbc\r\nabc\r\n", 400, "", ""},
        {"NUL in an extension", "3;a\0\r\nabc\r\n"s, 400, "", ""},
        {"extensions too long", "3;" + std::string(300, 'x') + "\r\nabc\r\n", 400, "", ""},
        {"extensions too long together", repeated(20, "1;" + std::string(20, 'x') + "\r\na\r\n"),
         400, std::string(12, 'a'), ""},
        {"no CR LF behind the chunk", "3\r\nabcd\r\n0\r\n\r\n", 400, "abc", ""},
        {"LF alone behind the chunk", "3\r\nabc\n0\r\n\r\n", 400, "abc", ""},
        {"bare LF at the end", "0\r\n\n", 400, "", ""},
        {"a length as trailer", "0\r\nContent-Length: 3\r\n\r\n", 400, "", ""},
        {"a coding as trailer", "0\r\ntransfer-encoding: chunked\r\n\r\n", 400, "", ""},
        {"a Host as trailer", "0\r\nHost: b\r\n\r\n", 400, "", ""},
        {"credentials as trailer", "0\r\nAuthorization: x\r\n\r\n", 400, "", ""},
        {"a trailer without colon", "0\r\nabc\r\n\r\n", 400, "", ""},
        {"a folded trailer", "0\r\nX: a\r\n b\r\n\r\n", 400, "", ""},
        {"a trailer with a bare LF", "0\r\nX: a\nY: b\r\n\r\n", 400, "", ""},
        {"trailers too long", "0\r\nX: " + std::string(9000, 'a') + "\r\n\r\n", 431, "", ""},
    };
    return rows;
}

int status_of(RequestParser& parser, RequestParser::Verdict verdict) {
    if (verdict == RequestParser::Verdict::need_more) return -1;
    return verdict == RequestParser::Verdict::ready ? 0 : parser.refusal().status;
}

int fed_whole(const std::string& bytes) {
    RequestParser parser;
    Head head;
    return status_of(parser, parser.feed(bytes, HeadLimits{}, head));
}

// Each time from fresh memory, as after a buffer has grown.
int fed_by_bytes(const std::string& bytes) {
    RequestParser parser;
    Head head;
    int status = -1;
    for (std::size_t size = 1; size <= bytes.size() && status == -1; ++size) {
        const std::string part = bytes.substr(0, size);
        status = status_of(parser, parser.feed(part, HeadLimits{}, head));
    }
    return status;
}

struct Decoded {
    int status = -1;
    std::string body, rest;
    larder::Headers trailers;
};

Decoded decode(const std::string& bytes, std::size_t step_size) {
    ChunkDecoder decoder;
    Decoded decoded;
    std::size_t at = 0;
    for (std::size_t end = std::min(step_size, bytes.size()); at < bytes.size();) {
        const auto step = decoder.step(std::string_view(bytes).substr(at, end - at));
        decoded.body += step.data;
        if (step.state == ChunkDecoder::State::refused) {
            decoded.status = decoder.refusal().status;
            return decoded;
        }
        at += step.used;
        if (step.state == ChunkDecoder::State::done) {
            decoded.status = 0;
            decoded.rest = bytes.substr(at);
            decoded.trailers = decoder.take_trailers();
            return decoded;
        }
        if (at == end) end = std::min(bytes.size(), end + step_size);
    }
    return decoded;
}

class RequestParserTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RequestParserTest);
    CPPUNIT_TEST(heads);
    CPPUNIT_TEST(heads_byte_by_byte);
    CPPUNIT_TEST(what_a_head_says);
    CPPUNIT_TEST(absolute_forms_are_cut_down);
    CPPUNIT_TEST(keep_alive);
    CPPUNIT_TEST(one_head_after_the_other);
    CPPUNIT_TEST(refusals_name_the_remedy);
    CPPUNIT_TEST(chunks);
    CPPUNIT_TEST(chunks_byte_by_byte);
    CPPUNIT_TEST(trailers);
    CPPUNIT_TEST_SUITE_END();

    void heads() {
        for (const HeadRow& row : head_rows()) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(row.what, row.status, fed_whole(row.bytes));
        }
    }

    void heads_byte_by_byte() {
        for (const HeadRow& row : head_rows()) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(row.what, row.status, fed_by_bytes(row.bytes));
        }
    }

    void what_a_head_says() {
        const std::string bytes =
            "\r\nPUT /a/b?c=d HTTP/1.1\r\nHost: h:1\r\nContent-Length: 42\r\n"
            "Expect: 100-continue\r\nX-A: \t one two \t\r\nx-a: three\r\n\r\nBODY";
        RequestParser parser;
        Head head;
        CPPUNIT_ASSERT(parser.feed(bytes, {}, head) == RequestParser::Verdict::ready);
        CPPUNIT_ASSERT_EQUAL("PUT"s, std::string(head.method));
        CPPUNIT_ASSERT_EQUAL("/a/b?c=d"s, std::string(head.target));
        CPPUNIT_ASSERT_EQUAL("h:1"s, std::string(head.authority));
        CPPUNIT_ASSERT_EQUAL(11U, head.version);
        CPPUNIT_ASSERT(head.content_length == 42U);
        CPPUNIT_ASSERT(!head.chunked);
        CPPUNIT_ASSERT(head.expects_continue);
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, head.fields.size());
        CPPUNIT_ASSERT_EQUAL("one two"s, std::string(head.field("X-a").value()));
        CPPUNIT_ASSERT_EQUAL("three"s, std::string(head.fields[4].value));
        CPPUNIT_ASSERT(!head.field("X-B"));
        CPPUNIT_ASSERT_EQUAL("BODY"s, bytes.substr(parser.size()));
        // In place: the views lie in the bytes that were given.
        CPPUNIT_ASSERT(head.target.data() > bytes.data() &&
                       head.target.data() < bytes.data() + bytes.size());
    }

    void absolute_forms_are_cut_down() {
        const std::vector<std::pair<std::string, std::string>> rows{
            {"http://b:8/c?d", "/c?d"}, {"http://b:8", "/"}, {"http://b:8?q=1", "/?q=1"}};
        for (const auto& [form, path] : rows) {
            RequestParser parser;
            Head head;
            const std::string bytes = target(form);
            CPPUNIT_ASSERT(parser.feed(bytes, {}, head) == RequestParser::Verdict::ready);
            CPPUNIT_ASSERT_EQUAL(path, std::string(head.target));
            CPPUNIT_ASSERT_EQUAL("b:8"s, std::string(head.authority));
        }
    }

    void keep_alive() {
        const std::vector<std::pair<std::string, bool>> rows{
            {with_host(""), true},
            {with_host("Connection: close\r\n"), false},
            {with_host("Connection: x, CLOSE ,y\r\n"), false},
            {with_host("Connection: keep-alive\r\nConnection: close\r\n"), false},
            {with_host("Connection: close\r\nConnection: keep-alive\r\n"), false},
            {with_host("Connection: closed\r\n"), true},
            {"GET / HTTP/1.0\r\n\r\n", false},
            {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true}};
        for (const auto& [bytes, keep] : rows) {
            RequestParser parser;
            Head head;
            CPPUNIT_ASSERT(parser.feed(bytes, {}, head) == RequestParser::Verdict::ready);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bytes, keep, parser.keep_alive());
        }
    }

    void one_head_after_the_other() {
        std::string bytes = with_host("Content-Length: 5\r\n");
        const std::size_t first = bytes.size();
        bytes += "POST /2 HTTP/1.1\r\nHost: z\r\nTransfer-Encoding: chunked\r\n\r\n";
        RequestParser parser;
        Head head;
        CPPUNIT_ASSERT(parser.feed(bytes, {}, head) == RequestParser::Verdict::ready);
        CPPUNIT_ASSERT_EQUAL(first, parser.size());
        parser.reset();
        const std::string_view rest = std::string_view(bytes).substr(first);
        CPPUNIT_ASSERT(parser.feed(rest, {}, head) == RequestParser::Verdict::ready);
        CPPUNIT_ASSERT_EQUAL("/2"s, std::string(head.target));
        CPPUNIT_ASSERT(!head.content_length);
        CPPUNIT_ASSERT(head.chunked);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, head.fields.size());
    }

    void refusals_name_the_remedy() {
        RequestParser parser;
        Head head;
        parser.feed("\x16\x03\x01"s, {}, head);
        CPPUNIT_ASSERT(parser.refusal().detail.find("TLS") != std::string::npos);
        RequestParser second;
        second.feed("GET / HTTP/2.0\r\n", {}, head);
        CPPUNIT_ASSERT_EQUAL("http-version"s, second.refusal().slug);
        CPPUNIT_ASSERT(second.refusal().detail.find("HTTP/1.1") != std::string::npos);
    }

    void chunks() { check_chunks(std::string::npos / 2); }
    void chunks_byte_by_byte() { check_chunks(1); }

    static void check_chunks(std::size_t step_size) {
        for (const ChunkRow& row : chunk_rows()) {
            const Decoded decoded = decode(row.bytes, step_size);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(row.what, row.status, decoded.status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(row.what, row.body, decoded.body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(row.what, row.rest, decoded.rest);
        }
    }

    void trailers() {
        const Decoded decoded = decode("0\r\nUpload-Checksum: sha1 x\r\nA:\t b \r\n\r\n", 3);
        CPPUNIT_ASSERT_EQUAL(0, decoded.status);
        const larder::Headers expected{{"Upload-Checksum", "sha1 x"}, {"A", "b"}};
        CPPUNIT_ASSERT(decoded.trailers == expected);
    }
};

LARDER_TEST_SUITE(RequestParserTest);

}  // namespace
