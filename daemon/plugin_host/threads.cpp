#include "plugin_host/threads.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>

namespace larder::plugin_host {
namespace {

constexpr std::size_t kLongestName = 15;  // the kernel cuts the rest

std::mutex own_mutex;
std::set<int>& own_threads() {  // guarded by own_mutex
    static auto* const threads = new std::set<int>;
    return *threads;
}

// "kv", "kv-…", "larder-kv", "larder-kv-…".
bool belongs(std::string_view thread, const std::string& plugin) {
    return std::ranges::any_of(std::initializer_list<std::string>{plugin, "larder-" + plugin},
                               [&](const std::string& name) {
                                   const std::string cut = name.substr(0, kLongestName);
                                   return thread == cut || thread.starts_with(cut + "-");
                               });
}

std::vector<std::string> threads_of(const std::string& plugin) {
    std::vector<std::string> names;
    std::error_code error;  // threads end while we look
    std::filesystem::directory_iterator task("/proc/self/task", error);
    for (; !error && task != std::filesystem::directory_iterator(); task.increment(error)) {
        std::ifstream file(task->path() / "comm");
        std::string name;
        if (!std::getline(file, name) || !belongs(name, plugin)) continue;
        const std::scoped_lock lock(own_mutex);
        if (!own_threads().contains(std::stoi(task->path().filename()))) names.push_back(name);
    }
    return names;
}

}  // namespace

OwnThread::OwnThread() : id_(gettid()) {
    const std::scoped_lock lock(own_mutex);
    own_threads().insert(id_);
}

OwnThread::~OwnThread() {
    const std::scoped_lock lock(own_mutex);
    own_threads().erase(id_);
}

std::vector<std::string> threads_left(const std::string& plugin,
                                      std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        auto names = threads_of(plugin);
        if (names.empty() || std::chrono::steady_clock::now() >= deadline) return names;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace larder::plugin_host
