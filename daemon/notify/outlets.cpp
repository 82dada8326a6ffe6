#include "notify/outlets.hpp"

#include <unistd.h>

#include <array>
#include <new>
#include <stdexcept>

#include "config/loader.hpp"
#include "notify/mail.hpp"
#include "notify/webhook.hpp"

namespace larder::notify {
namespace {

std::string own_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

}  // namespace

Outlets::Outlets(Log& log, std::function<config::Configuration()> configuration)
    : log_(log),
      configuration_(std::move(configuration)),
      host_(own_name()),
      webhook_("larder-webhook", log, [this](const Notice& notice) { return by_webhook(notice); }),
      mail_("larder-mail", log, [this](const Notice& notice) { return by_mail(notice); }) {}

void Outlets::tell(const observe::Alert& alert) noexcept {
    try {
        const auto alerts = configuration_().section("alerts");
        if (!alerts->text("webhook_url").empty()) webhook_.tell(alert);
        if (!alerts->text("smtp_url").empty()) mail_.tell(alert);
    } catch (const std::exception& error) {  // no memory, no thread
        log_.write(Level::error, std::string("an alert was not sent out: ") + error.what());
    }
}

void Outlets::stop() {
    webhook_.stop();
    mail_.stop();
}

void Outlets::check(const config::Configuration& configuration) {
    const auto alerts = configuration.section("alerts");
    const auto judge = [&](const char* key, const auto& read) {
        const std::string text = alerts->text(key);
        if (text.empty()) return;
        try {
            read(text);
        } catch (const std::invalid_argument& error) {
            // Without the text: it may hold a password.
            throw config::fault_at(configuration, "alerts", key,
                                   std::string("alerts.") + key + ": " + error.what());
        }
    };
    judge("webhook_url", check_webhook_url);
    judge("smtp_url", mail_server_of);
    if (!alerts->text("smtp_url").empty() && alerts->list("mail_to").empty()) {
        throw config::fault_at(configuration, "alerts", "mail_to",
                               "alerts.smtp_url is set, so alerts.mail_to must say whom mail is "
                               "for");
    }
}

bool Outlets::by_webhook(const Notice& notice) const {
    const auto alerts = configuration_().section("alerts");
    const WebhookTarget target{alerts->text("webhook_url"), alerts->text("webhook_secret")};
    if (target.url.empty()) return false;
    post_webhook(target, notice, host_);
    return true;
}

bool Outlets::by_mail(const Notice& notice) const {
    const auto alerts = configuration_().section("alerts");
    if (alerts->text("smtp_url").empty()) return false;
    MailTarget target{mail_server_of(alerts->text("smtp_url")), alerts->text("mail_from"),
                      alerts->list("mail_to")};
    if (target.from.empty()) target.from = "larderd@" + host_;
    send_mail(target, notice, host_);
    return true;
}

}  // namespace larder::notify
