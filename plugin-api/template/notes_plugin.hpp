// The notes plugin's life: settings in, store opened, routes declared. The HTTP side is
// notes_routes.hpp.
#pragma once

#include <memory>

#include "larder/plugin.hpp"
#include "notes_routes.hpp"
#include "storage-kit/document_store.hpp"

namespace notes {

class NotesPlugin final : public larder::Plugin {
public:
    explicit NotesPlugin(larder::Host& host) : host_(host) {}

    void configure(const larder::Settings& settings) override;
    void start(larder::Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;

private:
    larder::Host& host_;
    // In the order in which they need each other; gone in the opposite one.
    std::unique_ptr<larder::storage::Committer> committer_;
    std::unique_ptr<larder::storage::DocumentStore> store_;
    std::unique_ptr<NotesRoutes> routes_;
};

}  // namespace notes
