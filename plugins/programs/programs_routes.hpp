// Programs as records and folders: lists, changes, removal, files, how much is stored, and what
// this machine can run. How they come in: programs_uploads.hpp; their runs: execution_routes.hpp.
#pragma once

#include "larder/http.hpp"
#include "programs_store.hpp"
#include "runner.hpp"
#include "sandbox.hpp"
#include "schedules.hpp"

namespace larder::programs {

class ProgramRoutes {
public:
    ProgramRoutes(ProgramStore& store, Runner& runner, Schedules& schedules, const Sandbox& sandbox)
        : store_(store), runner_(runner), schedules_(schedules), sandbox_(sandbox) {}
    void declare(Routes& routes);

private:
    void declare_files(Routes& routes);
    Response list(const Request& request) const;
    Response patch(const Request& request);
    Response remove(const Request& request);
    Response files(const Request& request) const;
    Response file(const Request& request) const;
    Response languages() const;

    ProgramStore& store_;
    Runner& runner_;
    Schedules& schedules_;
    const Sandbox& sandbox_;
};

}  // namespace larder::programs
