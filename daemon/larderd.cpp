#include "larderd.hpp"

#include <Poco/Util/HelpFormatter.h>
#include <Poco/Util/MapConfiguration.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <system_error>

#include "daemon.hpp"
#include "larder/abi.hpp"
#include "system/signals.hpp"

namespace larder {
namespace {

constexpr const char* kDefaultConfig = "/etc/larder/larder.ini";

// With --daemon the working directory becomes '/', after the options were read.
std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal();
}

}  // namespace

Larderd::Larderd() { setUnixOptions(true); }

void Larderd::defineOptions(Poco::Util::OptionSet& options) {
    using Poco::Util::Option;
    ServerApplication::defineOptions(options);
    options.addOption(Option("config", "c",
                             "read FILE instead of /etc/larder/larder.ini; plugins.d "
                             "is looked for beside it")
                          .argument("FILE"));
    options.addOption(Option("data-dir", "d", "keep the data in DIR").argument("DIR"));
    options.addOption(Option("listen", "l", "listen on HOST:PORT (port 0 chooses one) or unix:PATH")
                          .argument("ADDRESS")
                          .repeatable(true));
    options.addOption(
        Option("check-config", "", "check the configuration, say what is wrong, end"));
    options.addOption(Option("version", "V", "print the version and end"));
    options.addOption(Option("help", "h", "print this and end"));
}

void Larderd::handleOption(const std::string& name, const std::string& value) {
    if (name == "config") {
        config_file_ = absolute(value);
    } else if (name == "data-dir") {
        overrides_.emplace_back("daemon.data_dir", absolute(value));
    } else if (name == "listen") {
        listen_.push_back(value);
    } else if (name == "check-config") {
        action_ = Action::check_config;
    } else if (name == "version") {
        action_ = Action::show_version;
        stopOptionsProcessing();
    } else if (name == "help") {
        action_ = Action::show_help;
        stopOptionsProcessing();
    } else {
        ServerApplication::handleOption(name, value);
    }
}

int Larderd::main(const std::vector<std::string>& arguments) {
    if (action_ == Action::show_version) {
        std::cout << fmt::format("larderd {} (plugin API {}.{})\n", kVersion, kApiMajor, kApiMinor);
        return EXIT_OK;
    }
    if (action_ == Action::show_help) {
        Poco::Util::HelpFormatter help(options());
        help.setUnixStyle(true);
        help.setCommand("larderd");
        help.setUsage("[OPTIONS]");
        help.setHeader("Keeps a machine's data behind one HTTP interface.");
        help.format(std::cout);
        return EXIT_OK;
    }
    if (!arguments.empty()) {
        std::cerr << fmt::format("larderd: '{}' is no option; see larderd --help\n",
                                 arguments.front());
        return EXIT_USAGE;
    }
    try {
        return action_ == Action::check_config ? check_config(sources()) : serve(sources());
    } catch (const config::ConfigError& error) {
        for (const auto& fault : error.faults()) {
            std::cerr << "larderd: " << config::to_string(fault) << '\n';
        }
        return EXIT_CONFIG;
    } catch (const Error& error) {
        std::cerr << "larderd: " << error.what()
                  << (error.internal().empty() ? "" : ": " + error.internal()) << '\n';
        return EXIT_UNAVAILABLE;
    } catch (const std::system_error& error) {
        std::cerr << "larderd: " << error.what() << '\n';
        return EXIT_OSERR;
    }
}

config::Sources Larderd::sources() const {
    auto sources = config::Sources::of_process(config_file_.empty() ? kDefaultConfig : config_file_,
                                               !config_file_.empty());
    sources.overrides = overrides_;
    std::string listen;
    for (const auto& address : listen_) listen += (listen.empty() ? "" : ",") + address;
    if (!listen.empty()) sources.overrides.emplace_back("http.listen", listen);
    return sources;
}

int Larderd::check_config(const config::Sources& sources) {
    const auto warnings = Daemon::check(sources);
    for (const auto& warning : warnings) std::cerr << "larderd: warning: " << warning << '\n';
    std::cout << "configuration is good\n";
    return EXIT_OK;
}

int Larderd::serve(const config::Sources& sources) {
    const bool background = config().getBool("application.runAsDaemon", false);
    Daemon daemon(sources, background);
    Poco::AutoPtr<Poco::Util::MapConfiguration> settings(new Poco::Util::MapConfiguration);
    daemon.configuration().fill(*settings);
    config().add(settings);
    daemon.start();
    for (const auto& address : daemon.addresses()) {
        if (address.starts_with("unix:")) continue;
        std::cerr << fmt::format("larderd: ready on {}\n", address) << std::flush;
    }
    while (system::wait_for_signal() == system::Signal::reload) daemon.reload_by_signal();
    return daemon.stop() ? EXIT_OK : EXIT_SOFTWARE;
}

}  // namespace larder
