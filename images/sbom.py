# SPDX-License-Identifier: Apache-2.0
"""What an image is made of, as SPDX 2.3."""
import json
import re


def _package(number, name, version, purl, **more):
    return {"SPDXID": f"SPDXRef-{number}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name), "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", **more} | ({"externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]} if purl else {})


def document(name, version, digest, licenses, created, debian, modules):
    """debian: facts of packages, see Packages.facts(); modules: name and version of Go modules."""
    image = _package(0, name, version, None, licenseDeclared=licenses, primaryPackagePurpose="CONTAINER",
                     checksums=[{"algorithm": "SHA256", "checksumValue": digest.removeprefix("sha256:")}])
    parts = []
    for package, architecture, number, source, source_version in debian:
        parts.append(_package(len(parts) + 1, package, number,
                              f"pkg:deb/debian/{package}@{number.replace('+', '%2B').replace(':', '%3A')}?arch={architecture}",
                              supplier="Organization: Debian", sourceInfo=f"source package {source} {source_version}; "
                              f"its licences: /usr/share/doc/{package}/copyright in the image"))
    for module, number in modules:
        parts.append(_package(len(parts) + 1, module, number, f"pkg:golang/{module}@{number.replace('+', '%2B')}",
                              sourceInfo=f"its licence: /usr/share/doc/{module}/ in the image"))
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", image)] + [(image["SPDXID"], "CONTAINS", part) for part in parts]
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{name}-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{version}-{digest.replace(':', '-')}",
        "creationInfo": {"created": created, "creators": ["Tool: cmesh-images"]},
        "packages": [image, *parts],
        "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other["SPDXID"]}
                          for one, kind, other in relations]}, indent=1) + "\n"
