#include "notify/mail.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/MailMessage.h>
#include <Poco/Net/MailRecipient.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SMTPClientSession.h>
#include <Poco/Net/SecureStreamSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Timestamp.h>
#include <Poco/URI.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "larder/time.hpp"

namespace larder::notify {
namespace {

using Poco::Net::SMTPClientSession;

Poco::Net::Context::Ptr tls_context() {
    return new Poco::Net::Context(Poco::Net::Context::TLS_CLIENT_USE, "",
                                  Poco::Net::Context::VERIFY_STRICT, 9, true);
}

// What a plugin wrote goes into header lines: nothing of it may end one.
std::string one_line(std::string_view text) {
    std::string line(text.substr(0, 200));
    std::replace_if(
        line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
    return line;
}

Poco::Net::StreamSocket connect(const MailServer& server, const Poco::Timespan& patience) {
    const Poco::Net::SocketAddress address(server.host, server.port);
    Poco::Net::StreamSocket plain;
    plain.connect(address, patience);
    plain.setReceiveTimeout(patience);
    plain.setSendTimeout(patience);
    if (!server.tls) return plain;
    return Poco::Net::SecureStreamSocket::attach(plain, server.host, tls_context());
}

void write(Poco::Net::MailMessage& message, const MailTarget& target, const Notice& notice,
           std::string_view host) {
    const observe::Alert& alert = notice.alert;
    message.setSender(target.from);
    for (const std::string& to : target.to) {
        message.addRecipient(
            Poco::Net::MailRecipient(Poco::Net::MailRecipient::PRIMARY_RECIPIENT, to));
    }
    message.setSubject(Poco::Net::MailMessage::encodeWord(
        one_line(fmt::format("[larder {}] {}: {} of {}", host,
                             notice.raised() ? severity_word(alert.severity) : "resolved",
                             alert.key, alert.source)),
        "UTF-8"));
    message.set("Message-ID", fmt::format("<{}.larderd@{}>", notice.id, host));
    message.set("Auto-Submitted", "auto-generated");
    message.setContentType("text/plain; charset=UTF-8");
    std::string text = fmt::format(
        "{}\r\n\r\nalert:    {}\r\nsource:   {}\r\nseverity: {}\r\n"
        "host:     {}\r\nraised:   {}\r\n",
        alert.text, alert.key, alert.source, severity_word(alert.severity), host,
        rfc3339(alert.raised_ms));
    if (!notice.raised()) text += fmt::format("resolved: {}\r\n", rfc3339(alert.resolved_ms));
    message.setContent(text, Poco::Net::MailMessage::ENCODING_QUOTED_PRINTABLE);
}

}  // namespace

MailServer mail_server_of(const std::string& url) {
    MailServer server;
    try {
        const Poco::URI parsed(url);
        server.tls = parsed.getScheme() == "smtps";
        server.host = parsed.getHost();
        const auto usual = static_cast<std::uint16_t>(server.tls ? 465 : 25);
        server.port = parsed.getPort() != 0 ? parsed.getPort() : usual;
        const std::string& given = parsed.getUserInfo();
        const std::size_t colon = given.find(':');
        Poco::URI::decode(given.substr(0, colon), server.user);
        if (colon != std::string::npos) Poco::URI::decode(given.substr(colon + 1), server.password);
        if (!server.password.empty() && !server.tls) {
            throw std::invalid_argument(
                "a password is not sent in the clear; write smtps://, or leave it out");
        }
        if ((server.tls || parsed.getScheme() == "smtp") && !server.host.empty()) return server;
    } catch (const Poco::SyntaxException&) {  // told below
    }
    throw std::invalid_argument(
        "expected smtp://HOST[:PORT] or smtps://[USER:PASSWORD@]HOST[:PORT]");
}

void send_mail(const MailTarget& target, const Notice& notice, std::string_view host,
               std::chrono::seconds patience) {
    try {
        Poco::Net::StreamSocket socket =
            connect(target.server, Poco::Timespan(patience.count(), 0));
        SMTPClientSession session(socket);
        const std::string name = target.from.substr(target.from.find('@') + 1);
        session.open();
        if (target.server.password.empty()) {
            session.login(name);
        } else {
            session.login(name, SMTPClientSession::AUTH_PLAIN, target.server.user,
                          target.server.password);
        }
        Poco::Net::MailMessage message;
        write(message, target, notice, host);
        session.sendMessage(message);
        session.close();
    } catch (const Poco::Net::SMTPException& error) {
        throw NotTaken(fmt::format("the mail server refused it: {}", one_line(error.message())),
                       error.code() >= 500 && error.code() < 600);
    } catch (const Poco::Exception& error) {
        throw NotTaken(
            fmt::format("the mail server cannot be reached: {}", one_line(error.displayText())),
            false);
    }
}

}  // namespace larder::notify
