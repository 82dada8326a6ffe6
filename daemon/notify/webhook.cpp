#include "notify/webhook.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/URI.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "larder/time.hpp"
#include "storage-kit/encodings.hpp"
#include "storage-kit/json.hpp"

namespace larder::notify {
namespace {

using Poco::Net::HTTPClientSession;
using storage::json::quoted;

std::unique_ptr<HTTPClientSession> session_for(const Poco::URI& url,
                                               std::chrono::seconds patience) {
    std::unique_ptr<HTTPClientSession> session;
    if (url.getScheme() == "https") {
        // Strict: the chain up to one of the system's roots, and the host's name.
        const Poco::Net::Context::Ptr context(new Poco::Net::Context(
            Poco::Net::Context::TLS_CLIENT_USE, "", Poco::Net::Context::VERIFY_STRICT, 9, true));
        session =
            std::make_unique<Poco::Net::HTTPSClientSession>(url.getHost(), url.getPort(), context);
    } else {
        session = std::make_unique<HTTPClientSession>(url.getHost(), url.getPort());
    }
    session->setTimeout(Poco::Timespan(patience.count(), 0));
    return session;
}

}  // namespace

void check_webhook_url(const std::string& url) {
    try {
        const Poco::URI parsed(url);
        const bool known = parsed.getScheme() == "http" || parsed.getScheme() == "https";
        if (known && !parsed.getHost().empty()) return;
    } catch (const Poco::SyntaxException&) {  // told below
    }
    throw std::invalid_argument("expected http://HOST/PATH or https://HOST/PATH");
}

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
             &size) == nullptr) {
        throw NotTaken("it could not be signed: OpenSSL's HMAC failed", false);
    }
    return storage::to_hex(std::span(digest).first(size));
}

std::string webhook_body(const Notice& notice, std::string_view host) {
    const observe::Alert& alert = notice.alert;
    return fmt::format(
        R"({{"event":"{}","key":{},"source":{},"severity":"{}","text":{},"host":{},"count":{},)"
        R"("raised_at":"{}","resolved_at":{}}})",
        notice.raised() ? "raised" : "resolved", quoted(alert.key), quoted(alert.source),
        severity_word(alert.severity), quoted(alert.text), quoted(host), alert.count,
        rfc3339(alert.raised_ms), notice.raised() ? "null" : quoted(rfc3339(alert.resolved_ms)));
}

void post_webhook(const WebhookTarget& target, const Notice& notice, std::string_view host,
                  std::chrono::seconds patience) {
    const std::string body = webhook_body(notice, host);
    try {
        const Poco::URI url(target.url);
        const auto session = session_for(url, patience);
        const std::string path = url.getPathAndQuery();
        Poco::Net::HTTPRequest request("POST", path.empty() ? "/" : path,
                                       Poco::Net::HTTPMessage::HTTP_1_1);
        request.setContentType("application/json");
        request.setContentLength64(static_cast<Poco::Int64>(body.size()));
        request.set("User-Agent", "larderd");
        request.set("Larder-Delivery", notice.id);
        if (!target.secret.empty()) {
            const std::int64_t now = unix_now_ms() / 1000;
            request.set(
                "Larder-Signature",
                fmt::format("t={},v1={}", now,
                            hmac_sha256_hex(target.secret, fmt::format("{}.{}", now, body))));
        }
        session->sendRequest(request) << body << std::flush;
        Poco::Net::HTTPResponse response;
        session->receiveResponse(response);
        const int status = response.getStatus();
        if (status >= 200 && status < 300) return;
        const bool is_final =
            status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
        throw NotTaken(fmt::format("the webhook answered {}", status), is_final);
    } catch (const Poco::Exception& error) {
        // Without the URL, which may hold a key of its own.
        throw NotTaken(fmt::format("the webhook cannot be reached: {}", error.displayText()),
                       false);
    }
}

}  // namespace larder::notify
