// SPDX-License-Identifier: BSD-3-Clause
// Ownership: who could change a file that this program is about to believe. Code is run only where nobody but
// root and the user who runs it can have put it there.
#pragma once

#include <string>

namespace foil {

// Empty when only root and this user may change the file and replace it, by any folder or link on the way to
// it. Otherwise who else may and what to do, as the end of a message: "others may write its folder /x. chmod
// o-w it, or say --trust." Folders that hold libfoil.so are left out: who can change them can change this
// program. A sticky folder, such as /tmp, is no way to replace what another user has put there. A user's own
// group, of the user's name and without other members, is this user, but for root's.
std::string who_else_may_change(const std::string& file);

}  // namespace foil
