-- SPDX-License-Identifier: Apache-2.0
fetch 32 from relay_pass
