// Feeds the request parser and the chunk decoder bytes whole and cut up: both must come to the same
// verdict, and what is taken must hold what the rest of the front relies on. Heads only, no
// sockets.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/chunk_decoder.hpp"
#include "http/request_parser.hpp"

namespace {

using namespace larder::http;

void demand(bool condition) {
    if (!condition) std::abort();
}

struct HeadVerdict {
    int status = -1;  // -1: more is wanted, 0: taken
    std::size_t size = 0;
    std::string target, authority;
    bool keep_alive = false;
    bool operator==(const HeadVerdict&) const = default;
};

void check_head(const Head& head, std::string_view bytes, std::size_t size) {
    demand(size <= bytes.size() && bytes.substr(0, size).ends_with("\r\n\r\n"));
    demand(is_token(head.method));
    demand(head.target == "*" || head.target.starts_with('/'));
    demand(head.target.find_first_of(std::string_view(" #\r\n\t\0", 6)) == std::string_view::npos);
    demand(head.version == 10 || head.version == 11);
    demand(head.version == 10 || is_authority(head.authority));
    demand(!(head.chunked && head.content_length));
    demand(!(head.chunked && head.version == 10));
    demand(head.fields.size() <= 100);
    for (const Field& field : head.fields) {
        demand(is_token(field.name) && is_field_value(field.value));
        demand(field.name.data() >= bytes.data());
        demand(field.value.data() + field.value.size() <= bytes.data() + size);
    }
}

HeadVerdict judge(std::string_view bytes, std::size_t step) {
    RequestParser parser;
    Head head;
    HeadVerdict verdict;
    for (std::size_t size = std::min(step, bytes.size());;
         size = std::min(bytes.size(), size + step)) {
        const std::string part(bytes.substr(0, size));  // its own memory: over-reads are seen
        switch (parser.feed(part, HeadLimits{2048, 512, 100}, head)) {
            case RequestParser::Verdict::ready:
                check_head(head, part, parser.size());
                verdict.status = 0;
                verdict.size = parser.size();
                verdict.target = head.target;
                verdict.authority = head.authority;
                verdict.keep_alive = parser.keep_alive();
                return verdict;
            case RequestParser::Verdict::refused:
                demand(parser.refusal().status >= 400 && !parser.refusal().detail.empty());
                verdict.status = parser.refusal().status;
                return verdict;
            case RequestParser::Verdict::need_more: break;
        }
        if (size == bytes.size()) return verdict;
    }
}

struct BodyVerdict {
    int status = -1;
    std::string body, rest;
    larder::Headers trailers;
    bool operator==(const BodyVerdict&) const = default;
};

BodyVerdict decode(std::string_view bytes, std::size_t step_size) {
    ChunkDecoder decoder;
    BodyVerdict verdict;
    std::string pending;
    std::size_t at = 0;
    while (verdict.status == -1 && (at < bytes.size() || !pending.empty())) {
        if (pending.empty()) {
            pending = bytes.substr(at, step_size);
            at += pending.size();
        }
        const ChunkDecoder::Step step = decoder.step(pending);
        demand(step.used <= pending.size());
        verdict.body += step.data;
        if (step.state == ChunkDecoder::State::refused) verdict.status = decoder.refusal().status;
        if (step.state == ChunkDecoder::State::more) demand(step.used == pending.size());
        pending.erase(0, step.used);
        if (step.state == ChunkDecoder::State::done) {
            verdict.status = 0;
            verdict.rest = pending + std::string(bytes.substr(at));
            verdict.trailers = decoder.take_trailers();
        }
    }
    for (const auto& [name, value] : verdict.trailers)
        demand(is_token(name) && is_field_value(value));
    return verdict;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    // The first byte chooses how the rest is cut, the second what it is.
    const std::size_t step = 1 + data[0] % 16;
    const bool chunks = data[1] % 2 == 1;
    const std::string bytes(data + 2, data + size);
    if (chunks) {
        demand(decode(bytes, bytes.size() + 1) == decode(bytes, step));
    } else {
        demand(judge(bytes, bytes.size() + 1) == judge(bytes, step));
    }
    return 0;
}
