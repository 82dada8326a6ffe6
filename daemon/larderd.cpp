#include "larderd.hpp"

#include <Poco/Util/HelpFormatter.h>
#include <Poco/Util/MapConfiguration.h>
#include <Poco/Util/OptionException.h>
#include <Poco/Util/OptionProcessor.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "config/nearest.hpp"
#include "daemon.hpp"
#include "larder/abi.hpp"
#include "system/background.hpp"
#include "system/heartbeat.hpp"
#include "system/signals.hpp"

namespace larder {
namespace {

constexpr const char* kDefaultConfig = "/etc/larder/larder.ini";

// With --daemon the working directory becomes '/', after the options were read.
std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal();
}

// One for each address that clients are told of; the sockets only where there is nothing else.
std::string ready_lines(const std::vector<std::string>& addresses) {
    const auto is_local = [](const std::string& address) { return address.starts_with("unix:"); };
    const bool all_local = std::all_of(addresses.begin(), addresses.end(), is_local);
    std::string lines;
    for (const auto& address : addresses) {
        if (all_local || !is_local(address))
            lines += fmt::format("larderd: ready on {}\n", address);
    }
    return lines;
}

}  // namespace

Larderd::Larderd() { setUnixOptions(true); }

// Poco's own judging is too late: it has become a daemon by then, and logs instead of saying.
int Larderd::start(int argc, char** argv) {
    Poco::Util::OptionSet known;
    defineOptions(known);
    Poco::Util::OptionProcessor judge(known);
    judge.setUnixStyle(true);
    try {
        std::string name, value;
        bool background = false;
        for (int i = 1; i < argc; ++i) {
            judge.process(argv[i], name, value);
            background = background || name == "daemon";
        }
        judge.checkRequired();
        if (background) system::begin_background();
    } catch (const Poco::Util::UnknownOptionException& error) {
        std::vector<std::string> names;
        for (const auto& option : known) names.push_back(option.fullName());
        std::cerr << fmt::format("larderd: unknown option '{}'{}; see larderd --help\n",
                                 error.message(), config::did_you_mean(error.message(), names));
        return EXIT_USAGE;
    } catch (const Poco::Exception& error) {
        std::cerr << fmt::format("larderd: {}; see larderd --help\n", error.displayText());
        return EXIT_USAGE;
    }
    return run(argc, argv);
}

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
    } else if (name == "pidfile") {
        pid_file_ = absolute(value);
        ServerApplication::handleOption(name, value);
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
    return carry_out(sources());
}

int Larderd::carry_out(const config::Sources& sources) {
    const auto say = [](int code, const std::string& text) {
        if (!system::tell(code, text)) std::cerr << text;
        return code;
    };
    try {
        return action_ == Action::check_config ? check_config(sources) : serve(sources);
    } catch (const config::ConfigError& error) {
        std::string text;
        for (const auto& fault : error.faults()) {
            text += fmt::format("larderd: {}\n", config::to_string(fault));
        }
        return say(EXIT_CONFIG, text);
    } catch (const Error& error) {
        const std::string why = error.internal().empty() ? "" : ": " + error.internal();
        return say(EXIT_UNAVAILABLE, fmt::format("larderd: {}{}\n", error.what(), why));
    } catch (const std::system_error& error) {
        return say(EXIT_OSERR, fmt::format("larderd: {}\n", error.what()));
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
    const auto warnings = Daemon::check(sources).warnings;
    for (const auto& warning : warnings) std::cerr << "larderd: warning: " << warning << '\n';
    std::cout << "configuration is good\n";
    return EXIT_OK;
}

int Larderd::serve(const config::Sources& sources) {
    const bool background = config().getBool("application.runAsDaemon", false);
    system::Heartbeat heartbeat;  // first: it outlives what it looks at
    auto daemon = std::make_unique<Daemon>(sources, background);
    Poco::AutoPtr<Poco::Util::MapConfiguration> settings(new Poco::Util::MapConfiguration);
    daemon->configuration().fill(*settings);
    config().add(settings);
    daemon->start();
    const std::string ready = ready_lines(daemon->addresses());
    if (!system::tell(EXIT_OK, ready)) std::cerr << ready << std::flush;
    heartbeat.serve([&] { return daemon->condition(); },
                    [&](const std::string& text) { daemon->complain(text); });
    while (system::wait_for_signal() == system::Signal::reload) {
        heartbeat.begin_reload();
        daemon->reload_by_signal([&heartbeat] { heartbeat.end_reload(); });
    }
    const bool unwatched = heartbeat.stop();
    if (daemon->stop() && unwatched) return EXIT_OK;
    // What hangs in a plugin would hang in the destructors too, or use what they free.
    remove_pid_file();
    (void)daemon.release();
    _exit(EXIT_SOFTWARE);
}

void Larderd::remove_pid_file() const {
    std::error_code gone;  // nobody is left to hear of it
    if (!pid_file_.empty()) std::filesystem::remove(pid_file_, gone);
}

}  // namespace larder
