#include "plugin_host/plugin_host.hpp"

#include <fmt/format.h>

#include <set>

namespace larder::plugin_host {

void ServiceRegistry::offer(std::string_view id, void* implementation, routing::Owner& provider) {
    const std::unique_lock lock(mutex_);
    const auto [place, fresh] =
        offers_.try_emplace(std::string(id), Offer{implementation, &provider});
    if (fresh) return;
    throw Error(Errc::conflict, "service-conflict",
                fmt::format("service {} is already offered by {}; turn one of the two off", id,
                            place->second.provider->name));
}

void ServiceRegistry::withdraw(const routing::Owner& provider) {
    const std::unique_lock lock(mutex_);
    std::erase_if(offers_, [&](const auto& offer) { return offer.second.provider == &provider; });
}

std::shared_ptr<void> ServiceRegistry::lease(std::string_view id, const routing::Owner& holder) {
    const std::shared_lock lock(mutex_);
    const auto found = offers_.find(id);
    if (found == offers_.end()) return nullptr;
    auto pass = std::make_shared<routing::Gate::Pass>(found->second.provider->gate.enter());
    if (!*pass) return nullptr;
    const std::scoped_lock book_lock(book_->mutex);
    const auto entry = book_->held.emplace(found->second.provider, holder.name);
    return {found->second.implementation, [book = book_, entry, pass](void*) mutable {
                {
                    const std::scoped_lock erasing(book->mutex);
                    book->held.erase(entry);
                }
                pass.reset();
            }};
}

std::vector<std::string> ServiceRegistry::holders(const routing::Owner& provider) const {
    const std::scoped_lock lock(book_->mutex);
    const auto [begin, end] = book_->held.equal_range(&provider);
    std::set<std::string> names;
    for (auto entry = begin; entry != end; ++entry) names.insert(entry->second);
    return {names.begin(), names.end()};
}

PluginHost::PluginHost(routing::Owner& owner, const Settings& settings, std::string data_directory,
                       jobs::WorkerPool& pool, ServiceRegistry& registry,
                       observe::Registry& metrics, Facilities& facilities, Report report)
    : owner_(owner),
      settings_(settings),
      data_directory_(std::move(data_directory)),
      pool_(pool),
      registry_(registry),
      metrics_(metrics),
      report_(std::move(report)),
      facilities_(facilities, owner.name, *owner.log,
                  [this](Task task) { return post(std::move(task)); }) {}

PluginHost::~PluginHost() { registry_.withdraw(owner_); }

bool PluginHost::post(Task task) {
    auto pass = owner_.gate.enter();
    if (!pass) return false;
    const std::uint32_t life = owner_.life;
    return pool_.post([this, life, task = std::move(task), held = std::move(pass)]() mutable {
        try {
            if (owner_.life == life) task();
        } catch (const std::exception& error) {
            log().write(Level::error, fmt::format("a task on a worker threw: {}", error.what()));
        } catch (...) {
            log().write(Level::error, "a task on a worker threw what is no std::exception");
        }
        task = Task();  // what it captured goes before the pass does
    });
}

void PluginHost::offer(std::string_view id, void* implementation) {
    if (!starting_) {
        throw Error(Errc::internal, "late-offer",
                    fmt::format("service {} was offered outside start()", id));
    }
    registry_.offer(id, implementation, owner_);
}

}  // namespace larder::plugin_host
