#include "client.hpp"

#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/String.h>
#include <Poco/URI.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <istream>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace larder::ctl {
namespace {

using Poco::Net::HTTPClientSession;

constexpr int kConnectSeconds = 5;
constexpr int kAnswerSeconds = 120;  // a plugin may take its drain time-out to stop

std::unique_ptr<HTTPClientSession> connect(const Target& target) {
    if (target.socket.empty()) {
        auto session = std::make_unique<HTTPClientSession>(target.host, target.port);
        session->setTimeout(Poco::Timespan(kConnectSeconds, 0), Poco::Timespan(kAnswerSeconds, 0),
                            Poco::Timespan(kAnswerSeconds, 0));
        return session;
    }
    // Made of a connected socket, a session has no host and so never connects by TCP by itself.
    Poco::Net::StreamSocket socket(
        Poco::Net::SocketAddress(Poco::Net::AddressFamily::UNIX_LOCAL, target.socket));
    auto session = std::make_unique<HTTPClientSession>(socket);
    session->setTimeout(Poco::Timespan(kAnswerSeconds, 0));
    return session;
}

std::string why_unreachable(const Target& target, const std::string& why) {
    if (!target.looked_at.empty()) {
        return fmt::format(
            "no larderd found: there is no socket {}; start larderd, or name its "
            "socket with --socket or LARDER_SOCKET, or its address with --url",
            fmt::join(target.looked_at, ", "));
    }
    return fmt::format(
        "cannot reach larderd at {}: {}; is it running? --socket and --url name "
        "another place",
        target.name(), why);
}

Poco::Net::HTTPRequest request_for(const HTTPClientSession& session, const std::string& method,
                                   const std::string& target, const Fields& fields) {
    Poco::Net::HTTPRequest request(method, target, Poco::Net::HTTPMessage::HTTP_1_1);
    if (session.getHost().empty()) request.setHost("localhost");
    for (const auto& [name, value] : fields) request.set(name, value);
    if (const char* token = std::getenv("LARDER_TOKEN"); token != nullptr && *token != '\0') {
        request.set("Authorization", std::string("Bearer ") + token);
    }
    return request;
}

void send(HTTPClientSession& session, const std::string& method, const std::string& target,
          std::string_view body, const Fields& fields) {
    Poco::Net::HTTPRequest request = request_for(session, method, target, fields);
    if (!body.empty() || method == "PUT" || method == "POST") {
        request.setContentLength64(static_cast<Poco::Int64>(body.size()));
        if (!request.has("Content-Type")) request.setContentType("application/json");
    }
    std::ostream& out = session.sendRequest(request);
    out.write(body.data(), static_cast<std::streamsize>(body.size()));
    out.flush();
}

Answer head_of(const Poco::Net::HTTPResponse& response) {
    Answer answer;
    answer.status = response.getStatus();
    for (const auto& [name, value] : response) answer.headers[Poco::toLower(name)] = value;
    return answer;
}

void read_body(std::istream& in, const Poco::Net::HTTPResponse& response, Answer& answer) {
    std::array<char, 16384> bytes{};
    while (in.read(bytes.data(), bytes.size()) || in.gcount() > 0) {
        answer.body.append(bytes.data(), static_cast<std::size_t>(in.gcount()));
    }
    const auto expected = response.getContentLength64();
    if (expected >= 0 && answer.body.size() != static_cast<std::size_t>(expected)) {
        throw Unreachable("the answer was cut; see larderd's log, and try again");
    }
}

}  // namespace

std::string Target::name() const {
    return socket.empty() ? fmt::format("http://{}:{}", host, port) : socket;
}

Target target_of_url(const std::string& url) {
    try {
        const Poco::URI uri(url);
        if (uri.getScheme() == "http" && !uri.getHost().empty() &&
            uri.getPathAndQuery().size() < 2) {
            Target target;
            target.host = uri.getHost();
            target.port = uri.getPort();
            return target;
        }
    } catch (const Poco::SyntaxException&) {  // told below
    }
    throw std::invalid_argument(
        fmt::format("'{}' is no http://HOST:PORT; for a daemon behind TLS use its socket on the "
                    "machine itself",
                    url));
}

Target default_target() {
    std::vector<std::string> places;
    if (const char* runtime = std::getenv("RUNTIME_DIRECTORY");
        runtime != nullptr && *runtime != '\0') {
        places.push_back(fmt::format("{}/larder.sock", runtime));
    }
    places.emplace_back("/run/larder/larder.sock");
    places.emplace_back("data/larder.sock");
    Target target;
    for (const std::string& place : places) {
        std::error_code ignored;  // what cannot be looked at is not there for us
        if (std::filesystem::is_socket(place, ignored)) {
            target.socket = place;
            return target;
        }
    }
    target.socket = places.back();
    target.looked_at = places;
    return target;
}

std::string Answer::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

Poco::JSON::Object::Ptr object_of(const Answer& answer) {
    try {
        Poco::JSON::Parser parser;
        return parser.parse(answer.body).extract<Poco::JSON::Object::Ptr>();
    } catch (const Poco::Exception& error) {
        throw Unreachable(fmt::format("what answers there is no larderd of this version: {}",
                                      error.displayText()));
    }
}

Refused::Refused(const Answer& answer) : status_(answer.status), body_(answer.body) {
    std::string detail;
    try {
        Poco::JSON::Parser parser;
        const auto problem = parser.parse(answer.body).extract<Poco::JSON::Object::Ptr>();
        code_ = problem->optValue<std::string>("code", "");
        detail = problem->optValue<std::string>("detail", "");
        for (const char* member : {"offset", "pointer", "parameter", "condition", "limit",
                                   "available", "file", "line", "key"}) {
            if (!problem->has(member) || problem->get(member).isEmpty()) continue;
            detail += fmt::format("; {}: {}", member, problem->get(member).toString());
        }
    } catch (const Poco::Exception&) {  // no problem document: the status has to do
    }
    message_ = detail.empty() ? fmt::format("larderd answered {}", answer.status)
                              : fmt::format("{} ({}, {})", detail, code_, answer.status);
}

Answer Client::ask(const std::string& method, const std::string& target, std::string_view body,
                   const Fields& fields) const {
    try {
        const auto session = connect(target_);
        send(*session, method, target, body, fields);
        Poco::Net::HTTPResponse response;
        std::istream& in = session->receiveResponse(response);
        Answer answer = head_of(response);
        if (method != "HEAD" && answer.status != 204 && answer.status != 304) {
            read_body(in, response, answer);
        }
        return answer;
    } catch (const Poco::Exception& error) {
        throw Unreachable(why_unreachable(target_, error.displayText()));
    }
}

Answer Client::demand(const std::string& method, const std::string& target, std::string_view body,
                      const Fields& fields) const {
    Answer answer = ask(method, target, body, fields);
    if (!answer.is_good()) throw Refused(answer);
    return answer;
}

Answer Client::upload(const std::string& method, const std::string& target, std::istream& bytes,
                      std::uint64_t size, const Fields& fields,
                      const std::function<void(std::string_view)>& sent) const {
    try {
        const auto session = connect(target_);
        Poco::Net::HTTPRequest request = request_for(*session, method, target, fields);
        request.setContentLength64(static_cast<Poco::Int64>(size));
        std::ostream& out = session->sendRequest(request);
        std::array<char, 65536> block{};
        std::uint64_t left = size;
        while (left > 0 && out) {
            const auto wanted = static_cast<std::streamsize>(
                std::min<std::uint64_t>(left, static_cast<std::uint64_t>(block.size())));
            bytes.read(block.data(), wanted);
            if (bytes.gcount() != wanted) throw std::runtime_error("it ends before its size");
            out.write(block.data(), wanted);
            left -= static_cast<std::uint64_t>(wanted);
            sent({block.data(), static_cast<std::size_t>(wanted)});
        }
        out.flush();
        // A refusal may have come before the last byte was taken: it is worth more than the cut.
        Poco::Net::HTTPResponse response;
        std::istream& in = session->receiveResponse(response);
        Answer answer = head_of(response);
        read_body(in, response, answer);
        if (!answer.is_good()) throw Refused(answer);
        return answer;
    } catch (const Poco::Exception& error) {
        throw Unreachable(why_unreachable(target_, error.displayText()));
    }
}

Poco::JSON::Object::Ptr Client::object(const std::string& method, const std::string& target) const {
    return object_of(demand(method, target));
}

std::vector<Poco::JSON::Object::Ptr> Client::items(const std::string& target) const {
    std::vector<Poco::JSON::Object::Ptr> all;
    const std::string base = target.ends_with('&') ? target : target + "?";
    std::string cursor;
    do {
        const auto page = object(
            "GET", base + "limit=1000" + (cursor.empty() ? "" : "&cursor=" + escaped(cursor)));
        const auto rows = page->getArray("items");
        for (unsigned i = 0; !rows.isNull() && i < rows->size(); ++i) {
            all.push_back(rows->getObject(i));
        }
        cursor = page->isNull("next") ? "" : page->optValue<std::string>("next", "");
    } while (!cursor.empty());
    return all;
}

void Client::stream(const std::string& target, const Fields& fields, int silence,
                    const std::function<bool(std::string_view)>& take) const {
    try {
        const auto session = connect(target_);
        session->setTimeout(Poco::Timespan(silence, 0));
        send(*session, "GET", target, {}, fields);
        Poco::Net::HTTPResponse response;
        std::istream& in = session->receiveResponse(response);
        Answer answer = head_of(response);
        if (!answer.is_good()) {
            read_body(in, response, answer);
            throw Refused(answer);
        }
        std::array<char, 65536> bytes{};
        // A byte first, so that what has come is passed on before there is a whole buffer of it.
        while (in.peek() != std::istream::traits_type::eof()) {
            const auto got = in.readsome(bytes.data(), bytes.size());
            if (!take({bytes.data(), static_cast<std::size_t>(got)})) return;
        }
        if (const auto* error = session->networkException()) error->rethrow();
    } catch (const Poco::Exception& error) {
        throw Unreachable(why_unreachable(target_, error.displayText()));
    }
}

std::string escaped(std::string_view segment) {
    std::string out;
    for (const char c : segment) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace larder::ctl
