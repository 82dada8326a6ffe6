// What a plugin holds of something it registered: a job, a subscription. Not of routes, services
// and metrics, which end with the plugin.
#pragma once

namespace larder {

// Dropping it withdraws what it stands for and waits for a call in progress, unless it is dropped
// from inside that call; so what the call uses must be destroyed after it, and no lock that the
// call takes may be held. One that is kept past stop() has no effect any more. [any]
class Ticket {
public:
    virtual ~Ticket() = default;
};

}  // namespace larder
