// The notes plugin's life: settings in, store opened, routes declared, old notes forgotten; and its
// part in backups. The HTTP side is notes_routes.hpp.
#pragma once

#include <memory>

#include "larder/plugin.hpp"
#include "larder/snapshot.hpp"
#include "notes_routes.hpp"
#include "storage-kit/document_store.hpp"

namespace notes {

class NotesPlugin final : public larder::Plugin, public larder::Snapshotable {
public:
    explicit NotesPlugin(larder::Host& host) : host_(host) {}

    void configure(const larder::Settings& settings) override;
    void start(larder::Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    // Snapshotable
    void hold(bool on) noexcept override;
    std::unique_ptr<larder::Moment> pin() override;
    void adopt(std::string_view previous) override;

private:
    void forget(larder::JobRun& run);

    larder::Host& host_;
    // In the order in which they need each other; gone in the opposite one.
    std::unique_ptr<larder::storage::Committer> committer_;
    std::unique_ptr<larder::storage::DocumentStore> store_;
    std::unique_ptr<NotesRoutes> routes_;
    std::unique_ptr<larder::Ticket> forgetting_;
};

}  // namespace notes
