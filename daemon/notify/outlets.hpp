// The ways out that the configuration names, [alerts], and the threads that go them. What an alert
// is stands in observe/alert_board.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "config/configuration.hpp"
#include "larder/host.hpp"
#include "notify/notifier.hpp"

namespace larder::notify {

class Outlets {
public:
    // `configuration` tells what is in force, each time anew. [any]
    Outlets(Log& log, std::function<config::Configuration()> configuration);

    void tell(const observe::Alert& alert) noexcept;  // does not wait [any]
    void stop();                                      // [control]

    // Throws config::ConfigError that names the setting which no alert could go by.
    static void check(const config::Configuration& configuration);

private:
    bool by_webhook(const Notice& notice) const;
    bool by_mail(const Notice& notice) const;

    Log& log_;
    const std::function<config::Configuration()> configuration_;
    const std::string host_;
    Notifier webhook_, mail_;
};

}  // namespace larder::notify
