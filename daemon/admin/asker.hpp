// Who asks for a change, copied from the request so that it outlives it, and the record of it in
// the audit. Not the audit's store.
#pragma once

#include <string>
#include <string_view>

#include "larder/alerts.hpp"
#include "larder/http.hpp"

namespace larder::admin {

class Asker {
public:
    explicit Asker(const Request& request)
        : principal_(request.principal()),
          ip_address_(request.peer_address()),
          request_id_(request.id()) {}

    // Before the change. Throws what the audit throws: then it must not be made. [worker]
    // `details` is a JSON object, or empty.
    void record(Audit& audit, std::string_view action, std::string_view target,
                std::string_view details = {}) const {
        AuditRecord record;
        record.actor = principal_;
        record.action = action;
        record.target = target;
        record.outcome = "ok";
        record.ip_address = ip_address_;
        record.request_id = request_id_;
        record.details = details;
        audit.record(record);
    }

private:
    std::string principal_, ip_address_, request_id_;
};

}  // namespace larder::admin
