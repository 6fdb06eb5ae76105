-- SPDX-License-Identifier: Apache-2.0
fetch 1000 from relay_pass
