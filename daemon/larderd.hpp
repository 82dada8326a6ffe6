// The command line of larderd: a Poco ServerApplication that turns options into a Daemon and runs
// it. What the daemon is made of stands in daemon.hpp.
#pragma once

#include <Poco/Util/ServerApplication.h>

#include <string>
#include <utility>
#include <vector>

#include "config/loader.hpp"

namespace larder {

class Larderd : public Poco::Util::ServerApplication {
public:
    Larderd();

    // Judges the options, then run()s. A mistake in them is told, with a hint, and is EXIT_USAGE.
    int start(int argc, char** argv);

protected:
    void defineOptions(Poco::Util::OptionSet& options) override;
    void handleOption(const std::string& name, const std::string& value) override;
    int main(const std::vector<std::string>& arguments) override;

private:
    int check_config(const config::Sources& sources);
    int serve(const config::Sources& sources);
    int carry_out(const config::Sources& sources);
    void remove_pid_file() const;
    config::Sources sources() const;

    enum class Action { serve, check_config, show_version, show_help };
    Action action_ = Action::serve;
    std::string config_file_, pid_file_;
    std::vector<std::string> listen_;
    std::vector<std::pair<std::string, std::string>> overrides_;
};

}  // namespace larder
