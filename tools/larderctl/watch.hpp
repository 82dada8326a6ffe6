// Prints a bucket's changes as they come and goes on, without a gap, where a lost connection left
// off.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "command.hpp"

namespace larder::ctl {

// One event of a text/event-stream.
struct StreamEvent {
    std::string name, data, id;
};

// Takes a text/event-stream apart (HTML, "Server-sent events"): fields of a block, a block ends
// with an empty line. Comments are passed over.
class EventReader {
public:
    // An event without data only moves the id.
    using Take = std::function<void(const StreamEvent&)>;
    explicit EventReader(Take take) : take_(std::move(take)) {}

    void feed(std::string_view text);
    void forget() {  // a new connection: what was half there comes again
        line_.clear();
        event_ = {};
    }

private:
    void end_line();

    const Take take_;
    std::string line_;
    StreamEvent event_;
};

int watch(Context& context);

}  // namespace larder::ctl
