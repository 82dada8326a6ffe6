// Runs over HTTP: asked for, watched, stopped, looked up; and the schedules that ask for them.
#pragma once

#include "execution_records.hpp"
#include "larder/http.hpp"
#include "programs_store.hpp"
#include "runner.hpp"
#include "sandbox.hpp"
#include "schedules.hpp"

namespace larder::programs {

class ExecutionRoutes {
public:
    ExecutionRoutes(ProgramStore& store, ExecutionRecords& records, Runner& runner,
                    Schedules& schedules, const Sandbox& sandbox)
        : store_(store),
          records_(records),
          runner_(runner),
          schedules_(schedules),
          sandbox_(sandbox) {}
    void declare(Routes& routes);

private:
    void declare_reads(Routes& routes);
    void declare_schedules(Routes& routes);
    void execute(const Request& request, Reply reply);
    Response list(const Request& request);
    Response one(const Request& request);
    void stream(const Request& request, Reply reply);
    Response cancel(const Request& request);
    Response stats(const Request& request);
    Response log(const Request& request) const;
    Response put_schedule(const Request& request);

    Host& host() const noexcept { return store_.host(); }

    ProgramStore& store_;
    ExecutionRecords& records_;
    Runner& runner_;
    Schedules& schedules_;
    const Sandbox& sandbox_;
};

}  // namespace larder::programs
