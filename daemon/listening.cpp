#include "listening.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "access/access.hpp"
#include "config/loader.hpp"
#include "larder/error.hpp"

namespace larder {

bool has_tls(const config::Section& http) { return !http.text("tls_certificate").empty(); }

std::string socket_path(const config::Section& http, const std::string& data_directory) {
    if (!http.text("socket").empty()) return http.text("socket");
    const char* runtime = std::getenv("RUNTIME_DIRECTORY");
    return runtime != nullptr && *runtime != '\0' ? fmt::format("{}/larder.sock", runtime)
                                                  : data_directory + "/larder.sock";
}

namespace {

constexpr const char* kWantsBoth =
    "can be reached from other machines, which wants auth.enabled = true and http.tls_certificate";

bool may_be_reached(const config::Configuration& configuration) {
    const auto http = configuration.section("http");
    return (configuration.section("auth")->flag("enabled") && has_tls(*http)) ||
           http->flag("allow_insecure");
}

}  // namespace

void require_safe_listeners(const config::Configuration& configuration) {
    const auto http = configuration.section("http");
    if (http->text("tls_certificate").empty() != http->text("tls_key").empty()) {
        throw config::fault_at(configuration, "http",
                               has_tls(*http) ? "tls_certificate" : "tls_key",
                               "http.tls_certificate and http.tls_key go together; set both or "
                               "neither");
    }
    if (may_be_reached(configuration)) return;
    for (const auto& address : http->list("listen")) {
        if (address.starts_with("unix:") || access::is_loopback_name(access::host_of(address))) {
            continue;
        }
        throw config::fault_at(
            configuration, "http", "listen",
            fmt::format("{} {}; listen on 127.0.0.1, set both, or accept the risk with "
                        "http.allow_insecure = true",
                        address, kWantsBoth));
    }
}

void require_safe_sockets(const config::Configuration& configuration,
                          const std::vector<std::string>& hosts) {
    if (may_be_reached(configuration)) return;
    for (const auto& host : hosts) {
        if (access::is_loopback_name(host)) continue;
        throw config::fault_at(
            configuration, "auth", "enabled",
            fmt::format(
                "the service manager's socket on {} {}; change its ListenStream=, set both, "
                "or accept the risk with http.allow_insecure = true",
                host, kWantsBoth));
    }
}

void use_certificate(http::Server& server, const config::Configuration& configuration) {
    const auto http = configuration.section("http");
    if (!has_tls(*http)) return;
    try {
        server.use_certificate(http->text("tls_certificate"), http->text("tls_key"));
    } catch (const Error& error) {
        throw config::fault_at(configuration, "http", "tls_certificate", error.detail());
    }
}

}  // namespace larder
