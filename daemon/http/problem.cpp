#include "http/problem.hpp"
