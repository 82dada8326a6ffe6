// The routes of leaderboards and lists.
#pragma once

#include "boards.hpp"
#include "larder/http.hpp"

namespace larder::cache {

class BoardRoutes {
public:
    BoardRoutes(Boards& boards, bool has_redis) : boards_(boards), has_redis_(has_redis) {}

    void declare(Routes& routes);

private:
    void declare_boards(Routes& routes);
    void declare_lists(Routes& routes);
    Response score(const Request& request);
    Response top(const Request& request);
    Response member(const Request& request);
    Response remove(const Request& request);
    Response push(const Request& request);
    Response newest(const Request& request);
    Response remove_list(const Request& request);

    Boards& boards_;
    const bool has_redis_;
};

}  // namespace larder::cache
