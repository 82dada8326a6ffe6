// What of a sandbox this machine gives, found out at the start by running something in it; and the
// processes of larder-run, one a run. Not which run comes when: that is runner.hpp's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "execution.hpp"
#include "larder/error.hpp"
#include "larder/host.hpp"
#include "run_protocol.hpp"
#include "storage-kit/safe_name.hpp"

namespace larder::programs {

enum class Tier : std::uint8_t {
    full = 1,  // namespaces, filter, control group
    reduced,   // no control group: memory is watched, not bounded
    bare,      // the admin asked for no isolation
    none,      // nothing can be had: nothing runs
};
std::string_view word_of(Tier tier);

// A larder-run under way. Its frames come by `frames`; closing `control` stops it.
struct RunProcess {
    pid_t pid = -1;
    storage::OwnedFd frames, control;

    void tell(char what) const noexcept;  // protocol::kBegin or kCancel
};

struct Language {
    std::string_view name, interpreter, path;
    std::string version;  // empty: it is not there
};

class Sandbox {
public:
    // Probes. Throws nothing for what the machine does not give: that is tier(). [control]
    explicit Sandbox(Host& host);

    Tier tier() const noexcept { return tier_; }
    // Why nothing runs, with the cure; empty where something does.
    const std::string& reason() const noexcept { return reason_; }
    // Throws Error{unavailable, "sandbox-unavailable"} where nothing may run, or
    // "interpreter-missing". [any]
    void demand(std::string_view language) const;

    // Makes the sandbox of a run, which begins when it is told. Throws Error{unavailable,
    // "sandbox-unavailable"}. [any]
    RunProcess start(const ExecutionRequest& request, const std::string& folder) const;

    std::vector<Language> languages() const;  // asked again where the file is another [worker]
    std::string describe_json() const;        // for GET /api/programs/languages

private:
    struct Outcome {
        bool good = false, cgroup = false;
        std::string fault, out;
    };
    void probe();
    Outcome try_command(const std::vector<std::string>& command, bool sweep) const;
    RunProcess spawn(const std::string& items, std::string_view input) const;
    void add_common(std::string& items) const;

    Host& host_;
    std::string helper_;
    Tier tier_ = Tier::none;
    std::string reason_;
    bool proc_ = true, no_userns_ = true;
    std::uint64_t most_processes_ = 64;
    mutable std::mutex versions_mutex_;
    // By path: when the file was changed, and what it said. Guarded by versions_mutex_.
    mutable std::map<std::string_view, std::pair<std::int64_t, std::string>> versions_;
};

// Takes frames apart as they come. [one thread]
class FrameReader {
public:
    // Calls take(kind, bytes) for each whole frame; false: what came is none.
    bool push(std::string_view bytes,
              const std::function<void(protocol::Frame, std::string_view)>& take);

private:
    std::string buffer_;
};

}  // namespace larder::programs
