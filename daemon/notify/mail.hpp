// An alert as mail, handed to a mail server (RFC 5321). Not when to send, nor again.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "notify/notifier.hpp"

namespace larder::notify {

// Of "smtp://host[:port]", 25 and in the clear, for a relay near by; or of
// "smtps://[user:password@]host[:port]", 465 and TLS from the start.
struct MailServer {
    std::string host, user, password;
    std::uint16_t port = 25;
    bool tls = false;
};
// Throws std::invalid_argument that says what was expected.
MailServer mail_server_of(const std::string& url);

struct MailTarget {
    MailServer server;
    std::string from;
    std::vector<std::string> to;
};

// A 5xx of the server is final. Throws NotTaken.
void send_mail(const MailTarget& target, const Notice& notice, std::string_view host,
               std::chrono::seconds patience = std::chrono::seconds(5));

}  // namespace larder::notify
